import { expect } from 'chai';
import { gradients } from '../../src/autodiff.js';
import type { Builder } from '../../src/ops/builder.js';
import type { Value } from '../../src/graph/graph.js';
import { reverseEnd } from '../../src/ops/slice.js';
import { onEveryTarget, type Operand } from '../support/evaluate.js';

/** What an operator computes where finite differences say nothing: not differentiable, at a kink, or an integer. */
interface ValueCase {
  readonly title: string;
  readonly operands: readonly Operand[];
  readonly build: (b: Builder, inputs: readonly Value[]) => readonly Value[];
  readonly expected: readonly (readonly number[])[];
}

const vector = (...values: number[]): Operand => ({ shape: [values.length], values });
const integers = (...values: number[]): Operand => ({ ...vector(...values), dtype: 'int64' });
const matrix = (columns: number, ...values: number[]): Operand => ({
  shape: [values.length / columns, columns],
  values,
});
/** Gradient of the sum of `y` with respect to `x`. */
const gradientOfSum = (b: Builder, y: Value, x: Value) =>
  gradients(b, b.op('ReduceSum', [y], { keepdims: false }), [x]);

const cases: readonly ValueCase[] = [
  {
    title: 'Clip with both bounds, one, and none',
    operands: [vector(-2, 0.5, 3)],
    build: (b, [x]) => [
      b.op('Clip', [x!], { min: -1, max: 1 }),
      b.op('Clip', [x!], { min: 0 }),
      b.op('Clip', [x!], { max: 2 }),
      b.op('Clip', [x!], {}),
    ],
    expected: [
      [-1, 0.5, 1],
      [0, 0.5, 3],
      [-2, 0.5, 2],
      [-2, 0.5, 3],
    ],
  },
  {
    title: 'Sign, with 0',
    operands: [vector(-2, 0, 3)],
    build: (b, [x]) => [b.op('Sign', [x!])],
    expected: [[-1, 0, 1]],
  },
  {
    title: 'Greater and Equal, broadcasting',
    operands: [matrix(2, 1, 2, 3, 4), vector(3, 2)],
    build: (b, inputs) => [b.op('Greater', inputs), b.op('Equal', inputs)],
    expected: [
      [0, 0, 0, 1],
      [0, 1, 1, 0],
    ],
  },
  {
    title: 'ReluGrad: nothing where the output is 0',
    operands: [vector(5, 6, 7), vector(1, 0, 2)],
    build: (b, inputs) => [b.op('ReluGrad', inputs)],
    expected: [[5, 0, 7]],
  },
  {
    title: 'Relu and Abs at 0: gradient 0',
    operands: [vector(-1, 0, 2)],
    build: (b, [x]) => [
      ...gradientOfSum(b, b.op('Relu', [x!]), x!),
      ...gradientOfSum(b, b.op('Abs', [x!]), x!),
    ],
    expected: [
      [0, 0, 1],
      [-1, 0, 1],
    ],
  },
  {
    title: 'ReduceMax with tied maxima: they share the gradient',
    operands: [matrix(3, 7, 7, 1, 2, 4, 3)],
    build: (b, [x]) => gradientOfSum(b, b.op('ReduceMax', [x!], { axes: [1], keepdims: false }), x!),
    expected: [[0.5, 0.5, 0, 0, 1, 0]],
  },
  {
    title: 'Cast to integers and bool',
    operands: [vector(0, 1.75, -3)],
    build: (b, [x]) => [b.op('Cast', [x!], { to: 'int64' }), b.op('Cast', [x!], { to: 'bool' })],
    expected: [
      [0, 1, -3],
      [0, 1, 1],
    ],
  },
  {
    title:
      'QuantizeLinear: ties to even, kept within the type; DequantizeLinear, by row too, and without zero point',
    operands: [matrix(3, -1, 0.25, 0.75, 1.25, 64, -70)],
    build: (b, [x]) => {
      const floats = (...values: number[]) =>
        b.graph.constant(Float32Array.from(values), values.length > 1 ? [values.length] : [], 'float32');
      const zero = b.graph.constant(Uint8Array.of(2), [], 'uint8');
      const zeros = b.graph.constant(Int8Array.of(0, -100), [2], 'int8');
      const unsigned = b.op('QuantizeLinear', [x!, floats(0.5), zero]);
      const byRow = b.op('QuantizeLinear', [x!, floats(0.25, 1), zeros], { axis: 0 });
      return [
        b.op('Cast', [unsigned], { to: 'float32' }),
        b.op('DequantizeLinear', [unsigned, floats(0.5), zero]),
        b.op('Cast', [byRow], { to: 'float32' }),
        b.op('DequantizeLinear', [byRow, floats(0.25, 1), zeros], { axis: 0 }),
        b.op('DequantizeLinear', [b.graph.constant(Int32Array.of(70_000, -3), [2], 'int32'), floats(2)]),
      ];
    },
    expected: [
      [0, 2, 4, 4, 130, 0],
      [-1, 0, 1, 1, 64, -1],
      [-4, 1, 3, -99, -36, -128],
      [-1, 0.25, 0.75, 1, 64, -28],
      [140_000, -6],
    ],
  },
  {
    title: 'Gather along axes 0 and -1',
    operands: [matrix(2, 1, 2, 3, 4, 5, 6), integers(1, 0, 1)],
    build: (b, inputs) => [b.op('Gather', inputs, { axis: 0 }), b.op('Gather', inputs, { axis: -1 })],
    expected: [
      [3, 4, 1, 2, 3, 4],
      [2, 1, 2, 4, 3, 4, 6, 5, 6],
    ],
  },
  {
    title: 'ScatterElements adds, to one position twice too',
    operands: [vector(1, 1, 1), integers(2, 0, 2), vector(10, 20, 30)],
    build: (b, inputs) => [b.op('ScatterElements', inputs)],
    expected: [[21, 1, 41]],
  },
  {
    title: 'Slice with steps -1 and 2',
    operands: [matrix(3, 1, 2, 3, 4, 5, 6)],
    build: (b, [x]) => [
      b.op('Slice', [x!], { starts: [1, 2], ends: [reverseEnd, reverseEnd], axes: [0, 1], steps: [-1, -1] }),
      b.op('Slice', [x!], { starts: [0], ends: [3], axes: [1], steps: [2] }),
    ],
    expected: [
      [6, 5, 4, 3, 2, 1],
      [1, 3, 4, 6],
    ],
  },
];

onEveryTarget('operator values', (evaluate) => {
  for (const { title, operands, build, expected } of cases) {
    it(title, async () => {
      expect(await evaluate(operands, build)).to.deep.equal(expected);
    });
  }
});
