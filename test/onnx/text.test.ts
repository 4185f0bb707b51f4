import { expect } from 'chai';
import { SlimclrError } from '../../src/errors.js';
import { sha256 } from '../../src/onnx/hash.js';
import { bytesOf, decodeModel, encodeModel, type Initializer, type OnnxModel } from '../../src/onnx/model.js';
import { describeModel, formatDescription, modelText, parseText, textHash } from '../../src/onnx/text.js';
import { affineModel, float32, node } from './models.js';

function constant(
  name: string,
  type: Initializer['type'],
  values: (Initializer['data'] & { kind: 'inline' })['values'],
) {
  return { name, type, data: { kind: 'inline', values } } as const;
}

const table = Float32Array.of(1, 2, 3);

/** One of everything that the text form writes in a way of its own. */
const varied: OnnxModel = {
  ...affineModel,
  graphName: 'odd names',
  opsets: { 'com.microsoft': 1, '': 17 },
  inputs: [float32('x', 'batch', '', 'a, b = (c)'), float32('w', 3)],
  outputs: [float32('y', 3), float32('shown', 3)],
  values: [float32('a, b = F(c): "d"', 3)],
  initializers: [
    ...affineModel.initializers,
    constant('table', { dtype: 'float32', shape: [3] }, table),
    constant('rows', { dtype: 'int64', shape: [2, 2] }, BigInt64Array.of(1n, -1n, 2n ** 62n, 0n)),
    constant('none', { dtype: 'int64', shape: [0] }, new BigInt64Array(0)),
    constant('mask', { dtype: 'bool', shape: [2] }, Uint8Array.of(1, 0)),
    constant('tenth', { dtype: 'float32', shape: [] }, Float32Array.of(0.1)),
    constant('one64', { dtype: 'float64', shape: [1] }, Float64Array.of(-0)),
    constant('shown', { dtype: 'float32', shape: [1] }, Float32Array.of(7)),
    {
      name: 'far',
      type: { dtype: 'float32', shape: [9] },
      data: { kind: 'external', location: 'w.safetensors', offset: 0, length: 36 },
    },
  ],
  nodes: [
    node('F', ['x', '', 'w', 'table', 'far'], ['a, b = F(c): "d"', '', 'untyped'], {
      s: 'a, b={c}',
      i: 1,
      f: { float: 1 },
      g: { float: 0.1 },
      n: [1, -1],
      h: { floats: [0.5, 1e30] },
    }),
    {
      ...node('Fused', ['a, b = F(c): "d"', 'rows', 'none', 'mask', 'tenth', 'one64', 'one'], ['y']),
      domain: 'com.microsoft',
    },
  ],
};

describe('onnx/text', () => {
  it('a model with weights, constants, odd names and every kind of attribute: the documented form', () => {
    expect(modelText(varied).split('\n')).to.deep.equal([
      'graph "odd names"',
      'opset ai.onnx 17',
      'opset com.microsoft 1',
      'input %x: float32[batch,?,"a, b = (c)"]',
      'input %w: float32[3] = default',
      'output %y: float32[3]',
      'output %shown: float32[3]',
      'constant %far: float32[9] = external',
      'constant %shown: float32[1] = sha256:' + sha256(bytesOf(Float32Array.of(7))).slice(0, 16),
      'constant %table: float32[3] = sha256:' + sha256(bytesOf(table)).slice(0, 16),
      String.raw`%"a, b = F(c): \"d\"": float32[3], _, %untyped = F(%x, _, %w, %table, %far) ` +
        '{f=1.0, g=0.1, h=[0.5,1e+30], i=1, n=[1,-1], s="a, b={c}"}',
      String.raw`%y: float32[3] = com.microsoft.Fused(%"a, b = F(c): \"d\"", [[1,-1],[4611686018427387904,0]]:int64, ` +
        '[]:int64, [true,false]:bool, 0.1:float32, [-0.0]:float64, 1.0:float32)',
      '',
    ]);
  });

  it('parsing the text gives the description back', () => {
    expect(parseText(modelText(varied))).to.deep.equal(describeModel(varied));
    expect(formatDescription(parseText(modelText(varied)))).to.equal(modelText(varied));
  });

  it('is the same before and after a file, for other weights and in another order of constants', () => {
    const text = modelText(varied);
    expect(modelText(decodeModel(encodeModel(varied)))).to.equal(text);
    const trained = varied.initializers.map((initializer) =>
      initializer.name === 'w' ? constant('w', initializer.type, Float32Array.of(9, 9, 9)) : initializer,
    );
    expect(modelText({ ...varied, initializers: trained.reverse() })).to.equal(text);
  });

  it('shows that a constant has another value', () => {
    const changed = varied.initializers.map((initializer) =>
      initializer.name === 'table'
        ? constant('table', initializer.type, Float32Array.of(1, 2, 4))
        : initializer,
    );
    expect(modelText({ ...varied, initializers: changed })).not.to.equal(modelText(varied));
  });

  it('the hash is the SHA-256 of the text', () => {
    expect(textHash(modelText(varied))).to.equal(sha256(Buffer.from(modelText(varied))));
  });

  it('text of another kind is rejected with the number of the line', () => {
    expect(() => parseText('')).to.throw(SlimclrError, /^line 1 is not/);
    expect(() => parseText('graph g\nopset ai.onnx 17\n%y <- Relu(%x)\n')).to.throw(
      SlimclrError,
      /^line 3 .*<- Relu/,
    );
  });
});
