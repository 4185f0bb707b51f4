import { HostGraph } from '../../src/engines/hostGraph.js';
import { numbers, tensorOf } from '../support/tensors.js';
import { expect } from 'chai';
import onnxProto from 'onnx-proto';
import { SlimclrError } from '../../src/errors.js';
import {
  decodeModel,
  elementCount,
  elementTypes,
  encodeModel,
  irVersionFor,
  valuesOf,
  byteLength,
  type Initializer,
  type OnnxModel,
} from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import { affineModel } from './models.js';

const proto = onnxProto.onnx;

/** Inline initializers of every element type and of ranks 0 to 3, empty ones too, with random bytes. */
function randomInitializers(random: Random): Initializer[] {
  return elementTypes.flatMap((dtype) =>
    [0, 1, 2, 3].map((rank): Initializer => {
      const type = { dtype, shape: Array.from({ length: rank }, () => random.integer(4)) };
      // Random bytes make NaNs of any payload and integers of any size; a bool is 0 or 1.
      const bytes = Uint8Array.from({ length: byteLength(type) }, () =>
        random.integer(dtype === 'bool' ? 2 : 256),
      );
      return { name: `${dtype}.${rank}`, type, data: { kind: 'inline', values: valuesOf(dtype, bytes) } };
    }),
  );
}

const everything: OnnxModel = {
  graphName: 'everything',
  opsets: { '': 17, 'com.microsoft': 1 },
  irVersion: irVersionFor(17),
  producer: 'slimclr',
  producerVersion: '0.1.0',
  metadata: { width: '0.25', ключ: 'ü' },
  inputs: [
    { name: 'images', type: { dtype: 'float32', shape: ['batch', 3, '', 32] } },
    { name: 'flag', type: { dtype: 'bool', shape: [] } },
  ],
  outputs: [{ name: 'y', type: { dtype: 'int64', shape: ['batch'] } }],
  values: [{ name: 'h', type: { dtype: 'float64', shape: [0, 2 ** 40] } }],
  initializers: [
    {
      name: 'w',
      type: { dtype: 'float32', shape: [2, 3] },
      data: { kind: 'external', location: 'weights.safetensors', offset: 2 ** 33, length: 24 },
    },
  ],
  nodes: [
    {
      name: 'node',
      opType: 'FusedConv',
      domain: 'com.microsoft',
      inputs: ['images', '', 'w'],
      outputs: ['', 'h'],
      attributes: {
        int: -1,
        large: Number.MAX_SAFE_INTEGER,
        string: 'Größe',
        empty: '',
        ints: [0, -1, 2 ** 40],
        noInts: [],
        float: { float: Math.fround(0.1) },
        floats: { floats: [0, -1.5, Infinity] },
        noFloats: { floats: [] },
      },
    },
  ],
};

describe('onnx/model', () => {
  it('a model that uses every feature: decode(encode(model)) equals it', () => {
    expect(decodeModel(encodeModel(everything))).to.deep.equal(everything);
  });

  it('initializers of every element type, ranks 0 to 3, random content: round trip', () => {
    for (let seed = 0; seed < 20; seed++) {
      const model = { ...everything, initializers: randomInitializers(new Random(seed)) };
      expect(decodeModel(encodeModel(model)), `seed ${seed}`).to.deep.equal(model);
    }
  });

  it('the same model with attributes, metadata and opsets in another order: same bytes', () => {
    const reversed = <T>(record: Readonly<Record<string, T>>) =>
      Object.fromEntries(Object.entries(record).reverse());
    const other = {
      ...everything,
      opsets: reversed(everything.opsets),
      metadata: reversed(everything.metadata),
      nodes: everything.nodes.map((node) => ({ ...node, attributes: reversed(node.attributes) })),
    };
    expect(encodeModel(other)).to.deep.equal(encodeModel(everything));
  });

  it('an encoded model runs in ONNX Runtime and computes x * w + 1', async () => {
    const graph = await HostGraph.open(encodeModel(affineModel), { provider: 'cpu', threads: 1 });
    const { y } = await graph.run({ x: tensorOf('float32', [1, 2, 3]) });
    await graph.close();
    expect(numbers(y!)).to.deep.equal([3, 7, 13]);
  });

  it('tensors in typed fields, as other writers store them, read like raw ones', () => {
    const cases = [
      { dataType: 1, floatData: [0.5, -2], expected: Float32Array.of(0.5, -2) },
      { dataType: 11, doubleData: [0.1, -2], expected: Float64Array.of(0.1, -2) },
      { dataType: 10, int32Data: [0x3c00, 0xfc00], expected: Uint16Array.of(0x3c00, 0xfc00) },
      { dataType: 7, int64Data: [-1, 2 ** 40], expected: BigInt64Array.of(-1n, 2n ** 40n) },
      { dataType: 6, int32Data: [-1, 7], expected: Int32Array.of(-1, 7) },
      { dataType: 9, int32Data: [1, 0], expected: Uint8Array.of(1, 0) },
      { dataType: 2, int32Data: [255, 0], expected: Uint8Array.of(255, 0) },
      { dataType: 3, int32Data: [-128, 0], expected: Int8Array.of(-128, 0) },
    ];
    for (const { expected, ...fields } of cases) {
      const model = decodeModel(foreign({ initializer: [{ name: 't', dims: [2], ...fields }] }));
      expect(model.initializers[0]!.data).to.deep.equal({ kind: 'inline', values: expected });
    }
  });

  it('intermediate values without a shape, of sequence type or of bfloat16 are left out', () => {
    const model = decodeModel(
      foreign({
        valueInfo: [
          { name: 'untyped' },
          { name: 'unshaped', type: { tensorType: { elemType: 1 } } },
          { name: 'half', type: { tensorType: { elemType: 16, shape: {} } } },
          { name: 'sequence', type: { sequenceType: {} } },
          { name: 'scalar', type: { tensorType: { elemType: 1, shape: {} } } },
        ],
      }),
    );
    expect(model.values).to.deep.equal([{ name: 'scalar', type: { dtype: 'float32', shape: [] } }]);
  });

  it("an external initializer without offset and length starts at 0 and has its type's size", () => {
    const externalData = [{ key: 'location', value: 'w.bin' }];
    const bytes = foreign({
      initializer: [{ name: 'w', dims: [3], dataType: 1, dataLocation: 1, externalData }],
    });
    expect(decodeModel(bytes).initializers[0]!.data).to.deep.equal({
      kind: 'external',
      location: 'w.bin',
      offset: 0,
      length: 12,
    });
  });

  describe('rejects with one line that names the cause', () => {
    const unsupported: [string, Uint8Array, RegExp][] = [
      ['no bytes', new Uint8Array(0), /not an ONNX model: it has no graph/],
      ['text', Buffer.from('{"not": "a model"}'), /not an ONNX model/],
      ['a truncated model', encodeModel(everything).subarray(0, 200), /truncated/],
      [
        'a subgraph',
        attribute({ name: 'body', type: 5, g: {} }),
        /attribute body of node n \(Op\) is of kind GRAPH/,
      ],
      ['a tensor attribute', attribute({ name: 'value', type: 4, t: {} }), /attribute value .* kind TENSOR/],
      [
        'an integer beyond 2^53',
        attribute({ name: 'k', type: 2, i: 2 ** 60 }),
        /attribute k .* 1152921504606846976/,
      ],
      ['a sparse initializer', foreign({ sparseInitializer: [{}] }), /sparse initializers/],
      [
        'a bfloat16 initializer',
        foreign({ initializer: [{ name: 'h', dataType: 16 }] }),
        /initializer h .* BFLOAT16/,
      ],
      [
        'an unknown element type',
        foreign({ initializer: [{ name: 'h', dataType: 99 }] }),
        /initializer h .* 99/,
      ],
      [
        'an initializer with too few elements',
        foreign({ initializer: [{ name: 'w', dims: [3], dataType: 1, floatData: [1, 2] }] }),
        /initializer w holds 2 elements; its shape has 3/,
      ],
      [
        'an initializer of a negative dimension',
        foreign({ initializer: [{ name: 'w', dims: [-1, -1], dataType: 1, floatData: [1] }] }),
        /initializer w has the shape \[-1,-1\]; accepted: no negative dimension/,
      ],
      ...['/dev/zero', '../w.bin', 'a/../../w.bin', 'C:\\w.bin', '..\\w.bin', 'w\n.bin'].map(
        (value): [string, Uint8Array, RegExp] => [
          `external data in ${JSON.stringify(value)}`,
          foreign({
            initializer: [
              {
                name: 'w',
                dims: [1],
                dataType: 1,
                dataLocation: 1,
                externalData: [{ key: 'location', value }],
              },
            ],
          }),
          /initializer w names the external file ".*"; accepted: a path within the model's folder/,
        ],
      ),
      [
        'raw data that is cut inside an element',
        foreign({ initializer: [{ name: 'w', dims: [2], dataType: 1, rawData: new Uint8Array(7) }] }),
        /initializer w holds a broken number of elements/,
      ],
      [
        'a sequence input',
        foreign({ input: [{ name: 's', type: { sequenceType: {} } }] }),
        /graph input s is not a/,
      ],
      [
        'an output without shape',
        foreign({ output: [{ name: 'y', type: { tensorType: { elemType: 1 } } }] }),
        /graph output y has no shape/,
      ],
      [
        'an external initializer of another size',
        foreign({
          initializer: [
            {
              name: 'w',
              dims: [3],
              dataType: 1,
              dataLocation: 1,
              externalData: [
                { key: 'location', value: 'w.bin' },
                { key: 'length', value: '8' },
              ],
            },
          ],
        }),
        /initializer w has 8 external bytes; its type has 12/,
      ],
    ];
    for (const [title, bytes, message] of unsupported) {
      it(title, () => {
        expect(() => decodeModel(bytes, 'm.onnx')).to.throw(SlimclrError, message);
        expect(() => decodeModel(bytes, 'm.onnx')).to.throw(/^m\.onnx: [^\n]*$/);
      });
    }
  });

  it('encoding rejects values that do not fit the shape and fractions among ints', () => {
    const data = { kind: 'inline', values: Float32Array.of(1, 2) } as const;
    const initializers = [{ name: 'w', type: { dtype: 'float32', shape: [3] }, data }] as const;
    expect(() => encodeModel({ ...everything, initializers })).to.throw(
      SlimclrError,
      /initializer w: .* 2 .* 3/,
    );
    const nodes = [{ ...everything.nodes[0]!, attributes: { alpha: 0.5 } }];
    expect(() => encodeModel({ ...everything, nodes })).to.throw(SlimclrError, /alpha of node node: 0.5/);
  });

  it('IR versions are those of ONNX releases; other opsets are rejected', () => {
    const opsets = [11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21];
    expect(opsets.map(irVersionFor)).to.deep.equal([6, 7, 7, 7, 8, 8, 8, 8, 9, 9, 10]);
    expect(() => irVersionFor(7)).to.throw(SlimclrError, /opset 7 .* 11 to 21/);
  });

  it('a symbolic shape has no size', () => {
    expect(() => elementCount(['batch', 3])).to.throw(SlimclrError, /\[batch,3\] .* 'batch'/);
  });
});

/** A model as another program might write it. */
function foreign(graph: Parameters<typeof proto.GraphProto.encode>[0]): Uint8Array {
  return proto.ModelProto.encode({ irVersion: 8, opsetImport: [{ version: 17 }], graph }).finish();
}

function attribute(value: Parameters<typeof proto.AttributeProto.encode>[0]): Uint8Array {
  return foreign({ node: [{ name: 'n', opType: 'Op', output: ['y'], attribute: [value] }] });
}
