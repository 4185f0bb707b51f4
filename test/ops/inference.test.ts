import { expect } from 'chai';
import { Graph, type ElementType, type Value } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';

/** An input of its own graph position: dtype (default float32) and shape. */
type Input = { dtype?: ElementType; shape: (number | string)[] };

const f = (...shape: (number | string)[]): Input => ({ shape });
const i64 = (...shape: number[]): Input => ({ dtype: 'int64', shape });
const f64 = (...shape: number[]): Input => ({ dtype: 'float64', shape });

const window = { strides: [1, 1], pads: [0, 0, 0, 0] } as const;
const pool = { kernelShape: [2, 2], ...window } as const;

type Case = readonly [Input[], (b: Builder, inputs: Value[]) => unknown, RegExp];

/** What the operators refuse, and the words that say why. */
const refused: Readonly<Record<string, Case>> = {
  'Add of shapes that do not broadcast': [
    [f(2, 3), f(2)],
    (b, x) => b.op('Add', x),
    /^Add\(in0 float32\[2,3\], in1 float32\[2\]\): shapes \[2,3\] and \[2\] do not broadcast$/,
  ],
  'Mul of two dtypes': [[f(2), f64(2)], (b, x) => b.op('Mul', x), /dtypes float32 and float64 differ/],
  'Conv of float16 and float32': [
    [{ dtype: 'float16', shape: [1, 3, 5, 5] }, f(2, 3, 3, 3)],
    (b, x) => b.op('Conv', x, window),
    /dtypes float16 and float32 differ/,
  ],
  'Gemm of float16 with C of float32': [
    [{ dtype: 'float16', shape: [2, 3] }, { dtype: 'float16', shape: [3, 4] }, f(4)],
    (b, x) => b.op('Gemm', x, {}),
    /dtypes float16 and float32 differ/,
  ],
  'BatchNormTrain with gamma of float16': [
    [{ dtype: 'float16', shape: [2, 3, 4, 4] }, { dtype: 'float16', shape: [3] }, f(3)],
    (b, x) => b.op('BatchNormTrain', x, { epsilon: 1e-5 }),
    /dtypes float32 and float16 differ/,
  ],
  'ReluGrad of a gradient in float32 and an output in float16': [
    [f(2), { dtype: 'float16', shape: [2] }],
    (b, x) => b.op('ReluGrad', x),
    /dtypes float32 and float16 differ/,
  ],
  'Exp of integers': [[i64(2)], (b, x) => b.op('Exp', x), /dtype int64 is not floating point/],
  'Add without a second input': [[f(2)], (b, x) => b.op('Add', x), /second input is missing/],
  'Where on a condition that is no bool': [
    [f(2), f(2), f(2)],
    (b, x) => b.op('Where', x),
    /the condition is float32, bool is accepted/,
  ],
  'Clip of float64': [[f64(2)], (b, x) => b.op('Clip', x, {}), /dtype float64 is not accepted, float32 is/],
  'QuantizeLinear of float16': [
    [{ dtype: 'float16', shape: [2] }, f(), { dtype: 'uint8', shape: [] }],
    (b, x) => b.op('QuantizeLinear', x),
    /x is float16, float32 is accepted/,
  ],
  'QuantizeLinear to int64': [
    [f(2), f(), i64()],
    (b, x) => b.op('QuantizeLinear', x),
    /the zero point is int64, uint8 or int8 is accepted/,
  ],
  'DequantizeLinear with scales of another length than the axis': [
    [{ dtype: 'int8', shape: [3, 2] }, f(2)],
    (b, x) => b.op('DequantizeLinear', x, { axis: 0 }),
    /scale or zero point is \[2\], \[3\] is accepted/,
  ],
  'DequantizeLinear with a zero point of another type': [
    [{ dtype: 'int8', shape: [3] }, f(), { dtype: 'uint8', shape: [] }],
    (b, x) => b.op('DequantizeLinear', x),
    /the zero point is uint8, int8 is accepted/,
  ],
  'ReduceSum over an axis outside the rank': [
    [f(2, 3)],
    (b, x) => b.op('ReduceSum', x, { axes: [2] }),
    /axis 2 is outside -2 \.\. 1/,
  ],
  'MatMul of a vector': [[f(3), f(3, 2)], (b, x) => b.op('MatMul', x), /must have rank 2 or more/],
  'MatMul of shapes that do not fit': [
    [f(2, 3), f(2, 3)],
    (b, x) => b.op('MatMul', x),
    /\[2,3\] and \[2,3\] do not multiply/,
  ],
  'Gemm of inner dimensions that differ': [
    [f(2, 3), f(3, 2)],
    (b, x) => b.op('Gemm', x, { transB: true }),
    /inner dimensions 3 and 2 differ/,
  ],
  'Gemm with C larger than the result': [
    [f(2, 3), f(3, 4), f(5, 2, 4)],
    (b, x) => b.op('Gemm', x, {}),
    /C \[5,2,4\] does not broadcast to \[2,4\]/,
  ],
  'Conv of other channels than the kernel takes': [
    [f(1, 4, 5, 5), f(2, 3, 3, 3)],
    (b, x) => b.op('Conv', x, window),
    /X has 4 channels, W \[2,3,3,3\] with group 1 accepts 3/,
  ],
  'Conv with filters that the groups do not divide': [
    [f(1, 4, 5, 5), f(3, 2, 3, 3)],
    (b, x) => b.op('Conv', x, { ...window, group: 2 }),
    /group 2/,
  ],
  'Conv with a kernel larger than the image': [
    [f(1, 1, 2, 5), f(1, 1, 3, 3)],
    (b, x) => b.op('Conv', x, window),
    /a window of 3 with padding 0 does not fit into 2/,
  ],
  'Conv with a bias of another length': [
    [f(1, 1, 3, 3), f(2, 1, 3, 3), f(3)],
    (b, x) => b.op('Conv', x, window),
    /bias is not \[2\]/,
  ],
  'Conv of an image of symbolic height': [
    [f(1, 1, 'height', 3), f(2, 1, 3, 3)],
    (b, x) => b.op('Conv', x, window),
    /height must be static, not "height"/,
  ],
  'ConvTranspose of other channels': [
    [f(1, 2, 3, 3), f(3, 1, 2, 2)],
    (b, x) => b.op('ConvTranspose', x, window),
    /X has 2 channels, W accepts 3/,
  ],
  'MaxPool of rank 3': [
    [f(1, 4, 4)],
    (b, x) => b.op('MaxPool', x, pool),
    /X has rank 3 \(\[1,4,4\]\), 4 is accepted/,
  ],
  'BatchNormTrain with gamma of another length': [
    [f(2, 3, 4, 4), f(4), f(3)],
    (b, x) => b.op('BatchNormTrain', x, { epsilon: 1e-5 }),
    /gamma, beta and shift must be \[3\], not \[4\]/,
  ],
  'BatchNormTrain of [N, C]': [
    [f(2, 3), f(3), f(3)],
    (b, x) => b.op('BatchNormTrain', x, { epsilon: 1e-5 }),
    /X has rank 2/,
  ],
  'BatchNormalization with a mean of another length': [
    [f(2, 3, 4, 4), f(3), f(3), f(2), f(3)],
    (b, x) => b.op('BatchNormalization', x, { epsilon: 1e-5 }),
    /mean is \[2\], \[3\] is accepted/,
  ],
  'SoftmaxCrossEntropy with labels that are no int64': [
    [f(2, 3), f(2)],
    (b, x) => b.op('SoftmaxCrossEntropy', x),
    /labels are float32, int64 is accepted/,
  ],
  'SoftCrossEntropy with targets of another shape': [
    [f(2, 3), f(2, 4)],
    (b, x) => b.op('SoftCrossEntropy', x),
    /targets are \[2,4\], \[2,3\] is accepted/,
  ],
  'Reshape to another number of elements': [
    [f(2, 3)],
    (b, x) => b.reshape(x[0]!, [5]),
    /\[2,3\] has 6 elements, \[5\] 5/,
  ],
  'Expand to a smaller shape': [
    [f(2, 3)],
    (b, x) => b.op('Expand', x, { shape: [1, 3] }),
    /\[2,3\] does not expand to \[1,3\]/,
  ],
  'Concat of shapes that differ elsewhere': [
    [f(2, 3), f(2, 4)],
    (b, x) => b.op('Concat', x, { axis: 0 }),
    /differ outside axis 0/,
  ],
  'Split into parts that do not make up the whole': [
    [f(2, 3)],
    (b, x) => b.op('Split', x, { axis: 1, sizes: [1, 1] }),
    /parts of \[1,1\] do not make up axis 1 with 3 elements/,
  ],
  'Transpose by no permutation': [
    [f(2, 3)],
    (b, x) => b.op('Transpose', x, { perm: [0, 0] }),
    /perm \[0,0\] is no permutation of 2 axes/,
  ],
  'Pad by a negative number': [
    [f(2)],
    (b, x) => b.op('Pad', x, { pads: [-1, 0] }),
    /pads \[-1,0\] are not 2 non-negative numbers/,
  ],
  'AddBlock of one that ends outside': [
    [f(4, 3), f(2, 3)],
    (b, x) => b.op('AddBlock', x, { starts: [3, 0] }),
    /a block \[2,3\] at \[3,0\] does not lie in \[4,3\]/,
  ],
  'Slice that is empty': [
    [f(4)],
    (b, x) => b.op('Slice', x, { starts: [2], ends: [2], axes: [0] }),
    /slice 2:2:1 of axis 0 with 4 elements is empty or outside/,
  ],
  'Slice to a negative end': [
    [f(4)],
    (b, x) => b.op('Slice', x, { starts: [3], ends: [-1], axes: [0], steps: [-1] }),
    /slice 3:-1:-1 of axis 0/,
  ],
  'Gather by indices that are no int64': [
    [f(4), f(2)],
    (b, x) => b.op('Gather', x, { axis: 0 }),
    /indices are float32, int64 is accepted/,
  ],
  'ScatterElements of updates that the indices do not address': [
    [f(4), i64(2), f(3)],
    (b, x) => b.op('ScatterElements', x),
    /indices int64\[2\] do not address updates \[3\]/,
  ],
};

function build([inputs, add]: Case): unknown {
  const graph = new Graph('test');
  const values = inputs.map(({ dtype = 'float32', shape }, i) => graph.input(`in${i}`, { dtype, shape }));
  return add(new Builder(graph), values);
}

describe('type inference', () => {
  for (const [title, test] of Object.entries(refused)) {
    it(`refuses ${title}`, () => expect(() => build(test)).to.throw(test[2]));
  }

  it('carries a symbolic batch through a convolution, pooling and a linear layer', () => {
    const graph = new Graph('test');
    const b = new Builder(graph);
    const x = graph.input('x', { dtype: 'float32', shape: ['batch', 3, 8, 8] });
    const w = graph.input('w', { dtype: 'float32', shape: [4, 3, 3, 3] });
    const h = b.op('MaxPool', [b.op('Relu', [b.op('Conv', [x, w], window)])], pool);
    const flat = b.op('Flatten', [h]);
    const y = b.op('Gemm', [flat, graph.input('head', { dtype: 'float32', shape: [5, 100] })], {
      transB: true,
    });
    expect([h.shape, flat.shape, y.shape]).to.deep.equal([
      ['batch', 4, 5, 5],
      ['batch', 100],
      ['batch', 5],
    ]);
  });
});
