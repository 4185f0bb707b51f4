import { expect } from 'chai';
import onnxProto, { type onnx } from 'onnx-proto';
import { diffTexts } from '../../src/onnx/diff.js';
import { structureOf } from '../../src/onnx/structure.js';
import { formatDescription, parseText } from '../../src/onnx/text.js';

const proto = onnxProto.onnx;
const { AttributeType } = proto.AttributeProto;
const { DataType } = proto.TensorProto;

const tensor = (name: string, elemType: number, ...dims: (number | string)[]): onnx.IValueInfoProto => ({
  name,
  type: {
    tensorType: {
      elemType,
      shape: { dim: dims.map((d) => (typeof d === 'number' ? { dimValue: d } : { dimParam: d })) },
    },
  },
});
const floats = (name: string, dims: number[], ...floatData: number[]): onnx.ITensorProto => ({
  name,
  dims,
  dataType: DataType.FLOAT,
  floatData,
});
const encode = (graph: onnx.IGraphProto, rest: onnx.IModelProto = {}) =>
  proto.ModelProto.encode({
    irVersion: 8,
    opsetImport: [{ domain: '', version: 17 }],
    graph,
    ...rest,
  }).finish();

/** If of a condition: x + w, or x times a constant of a node of the branch. */
function branching(weight = 2, constant = 3, shift = 1): Uint8Array {
  const branch = (name: string, node: onnx.INodeProto[]): onnx.IGraphProto => ({
    name,
    node,
    output: [tensor('y', DataType.FLOAT, 'n', 2)],
  });
  return encode({
    name: 'main',
    input: [tensor('x', DataType.FLOAT, 'n', 2), tensor('c', DataType.BOOL)],
    output: [tensor('out', DataType.FLOAT, 'n', 2)],
    initializer: [
      floats('w', [2], weight, weight),
      { name: 'axes', dims: [1], dataType: DataType.INT64, int64Data: [shift] },
    ],
    node: [
      {
        name: 'choice',
        opType: 'If',
        input: ['c'],
        output: ['chosen'],
        attribute: [
          {
            name: 'then_branch',
            type: AttributeType.GRAPH,
            g: branch('then', [{ opType: 'Add', input: ['x', 'w'], output: ['y'] }]),
          },
          {
            name: 'else_branch',
            type: AttributeType.GRAPH,
            g: branch('else', [
              {
                opType: 'Constant',
                output: ['k'],
                attribute: [{ name: 'value', type: AttributeType.TENSOR, t: floats('', [], constant) }],
              },
              { opType: 'Mul', input: ['x', 'k'], output: ['y'] },
            ]),
          },
        ],
      },
      { opType: 'Squeeze', input: ['chosen', 'axes'], output: ['out'] },
    ],
  });
}

describe('onnx/structure', () => {
  it('subgraphs, tensors as attributes: every node in the text, outer values by their names, weights by their types', () => {
    const { text, nodes, parameters, inputs, outputs, precision } = structureOf(branching());
    expect(text.split('\n').slice(3)).to.deep.equal([
      'input %c: bool[]',
      'output %out: float32[n,2]',
      'constant %w: float32[2]',
      '%chosen = If(%c) {else_branch="graph () -> (y: float32[n,2]), nodes: 2", then_branch="graph () -> (y: float32[n,2]), nodes: 1"}',
      '%choice.else_branch/k = Constant() {value=3.0:float32}',
      '%choice.else_branch/y: float32[n,2] = Mul(%x, %choice.else_branch/k)',
      '%choice.then_branch/y: float32[n,2] = Add(%x, %w)',
      '%out: float32[n,2] = Squeeze(%chosen, [1]:int64)',
      '',
    ]);
    expect({ nodes, parameters, precision }).to.deep.equal({ nodes: 5, parameters: 2, precision: 'float32' });
    expect(inputs).to.deep.equal([
      { name: 'x', dtype: 'float32', shape: ['n', 2] },
      { name: 'c', dtype: 'bool', shape: [] },
    ]);
    expect(outputs).to.deep.equal([{ name: 'out', dtype: 'float32', shape: ['n', 2] }]);
    expect(formatDescription(parseText(text))).to.equal(text);
  });

  it('other values of weights change nothing, of constants they do, in subgraphs as well', () => {
    const changes = (other: Uint8Array) =>
      diffTexts(structureOf(branching()).text, structureOf(other).text).changes.map(
        ({ name, aspect, before, after }) => `${name} ${aspect} ${before} ${after}`,
      );
    expect(changes(branching(5))).to.deep.equal([]);
    expect(changes(branching(2, 4))).to.deep.equal([
      'choice.else_branch/k attribute value 3.0:float32 4.0:float32',
    ]);
    expect(changes(branching(2, 3, 0))).to.deep.equal(['out input 1 [1]:int64 [0]:int64']);
  });

  it('a quantised model: scales and zero points are weights, too', () => {
    const quantized = (scale: number) =>
      structureOf(
        encode({
          name: 'q',
          input: [tensor('x', DataType.FLOAT, 'n', 2)],
          output: [tensor('y', DataType.FLOAT, 'n', 2)],
          initializer: [
            floats('scale', [], scale),
            { name: 'zero', dims: [], dataType: DataType.UINT8, int32Data: [128] },
          ],
          node: [
            { opType: 'QuantizeLinear', input: ['x', 'scale', 'zero'], output: ['q'] },
            { opType: 'DequantizeLinear', input: ['q', 'scale', 'zero'], output: ['y'] },
          ],
        }),
      );
    expect(quantized(0.5).precision).to.equal('int8');
    expect(quantized(0.5).text).to.equal(quantized(0.25).text).and.include('constant %zero: uint8[]');
  });

  it('functions, types without a tensor of ours, and integers beyond 2^53 are told', () => {
    const bytes = encode(
      {
        name: 'odd',
        input: [
          tensor('x', DataType.BFLOAT16, '', 2),
          { name: 's', type: { sequenceType: { elemType: tensor('', DataType.STRING).type! } } },
          { name: 'unshaped', type: { tensorType: { elemType: DataType.FLOAT } } },
        ],
        output: [tensor('y', DataType.BFLOAT16, '', 2)],
        node: [
          {
            domain: 'own',
            opType: 'Twice',
            input: ['x'],
            output: ['y'],
            attribute: [
              proto.AttributeProto.fromObject({
                name: 'most',
                type: AttributeType.INT,
                i: '9223372036854775807',
              }),
              {
                name: 'words',
                type: AttributeType.STRINGS,
                strings: [Buffer.from('a, b'), Buffer.from('"')],
              },
            ],
          },
        ],
      },
      {
        opsetImport: [
          { domain: '', version: 17 },
          { domain: 'own', version: 1 },
        ],
        functions: [
          {
            domain: 'own',
            name: 'Twice',
            input: ['x'],
            output: ['y'],
            node: [{ opType: 'Add', input: ['x', 'x'], output: ['y'] }],
          },
        ],
      },
    );
    const { text, inputs } = structureOf(bytes);
    expect(text.split('\n').slice(3, -1)).to.deep.equal([
      'input %x: bfloat16[?,2]',
      'input %s: sequence(string[])',
      'input %unshaped: float32',
      'output %y: bfloat16[?,2]',
      '%y: bfloat16[?,2] = own.Twice(%x) {most=9223372036854775807, words=["a, b","\\""]}',
      '%"own::Twice/y" = Add(%"own::Twice/x", %"own::Twice/x")',
    ]);
    expect(inputs.map(({ dtype, shape }) => [dtype, shape])).to.deep.equal([
      ['bfloat16', ['', 2]],
      ['sequence(string[])', null],
      ['float32', null],
    ]);
    expect(formatDescription(parseText(text))).to.equal(text);
  });

  it('bytes that are no model: one line', () => {
    expect(() => structureOf(Buffer.from('no model at all'), 'a.onnx')).to.throw(
      /^a\.onnx: not an ONNX model[^\n]*$/,
    );
    expect(() => structureOf(new Uint8Array(), 'b.onnx')).to.throw(/^b\.onnx: /);
  });
});
