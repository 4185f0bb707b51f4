import type { Builder } from '../../../src/ops/builder.js';
import { notDifferentiable } from '../../../src/ops/operator.js';
import type { GradientCase, GradientInput } from '../../support/checkGradient.js';
import { awayFromZero, normal, positive } from '../../support/samples.js';

type Sample = GradientInput['sample'];
type Unary = 'Abs' | 'Exp' | 'Identity' | 'Log' | 'Neg' | 'Reciprocal' | 'Relu' | 'Sigmoid' | 'Sqrt';
type Binary = 'Add' | 'Sub' | 'Mul' | 'Div';

function unary(op: Unary, sample: Sample = normal): GradientCase[] {
  return [[], [5], [2, 3, 4], [1, 16, 1, 1], [3, 20, 2, 2]].map((shape) => ({
    title: `[${shape.join(',')}]`,
    inputs: [{ shape, sample }],
    build: (b, [x]) => [b.op(op, [x!])],
  }));
}

const broadcasts: readonly (readonly [number[], number[]])[] = [
  [
    [2, 3],
    [2, 3],
  ],
  [[2, 3, 4], [4]],
  [
    [3, 1],
    [2, 3, 4],
  ],
  [
    [2, 1, 4],
    [1, 3, 1],
  ],
  [[], [2, 3]],
  [[2, 3], []],
  [[1, 1, 1], [3]],
  [
    [3, 20, 2, 2],
    [3, 20, 2, 2],
  ],
  [
    [8, 4, 1, 1],
    [8, 4, 1, 1],
  ],
  [
    [2, 16, 3, 2],
    [16, 1, 1],
  ],
];

function binary(op: Binary, second: Sample = normal): GradientCase[] {
  return broadcasts.map(([a, b]) => ({
    title: `[${a.join(',')}] with [${b.join(',')}]`,
    inputs: [{ shape: a }, { shape: b, sample: second }],
    build: (builder, [x, y]) => [builder.op(op, [x!, y!])],
  }));
}

/** A bool constant `[2, 3]`. */
const condition = (b: Builder) => b.graph.constant(Uint8Array.of(1, 0, 0, 1, 1, 0), [2, 3], 'bool');

export const elementwise = {
  Abs: unary('Abs', awayFromZero),
  Add: binary('Add'),
  Cast: [
    {
      title: 'float32 to float64',
      dtype: 'float32',
      step: 1,
      inputs: [{ shape: [2, 3] }],
      build: (b, [x]) => [b.op('Cast', [x!], { to: 'float64' })],
    },
    {
      title: 'float64 to float32 and back',
      dtype: 'float32',
      step: 1,
      inputs: [{ shape: [2, 3] }],
      build: (b, [x]) => [b.op('Cast', [b.op('Cast', [x!], { to: 'float64' })], { to: 'float32' })],
    },
  ],
  Clip: notDifferentiable,
  QuantizeLinear: notDifferentiable,
  DequantizeLinear: notDifferentiable,
  Div: binary('Div', awayFromZero),
  Equal: notDifferentiable,
  Exp: unary('Exp'),
  Greater: notDifferentiable,
  Identity: unary('Identity'),
  Log: unary('Log', positive),
  Mul: binary('Mul'),
  Neg: unary('Neg'),
  Reciprocal: unary('Reciprocal', awayFromZero),
  Relu: unary('Relu', awayFromZero),
  ReluGrad: notDifferentiable,
  Sigmoid: unary('Sigmoid'),
  Sign: notDifferentiable,
  Sqrt: unary('Sqrt', positive),
  Sub: binary('Sub'),
  Where: [
    {
      title: 'all [2,3]',
      inputs: [{ shape: [2, 3] }, { shape: [2, 3] }],
      build: (b, [x, y]) => [b.op('Where', [condition(b), x!, y!])],
    },
    {
      title: 'condition [2,3], [4,1,3] and a scalar',
      inputs: [{ shape: [4, 1, 3] }, { shape: [] }],
      build: (b, [x, y]) => [b.op('Where', [condition(b), x!, y!])],
    },
    {
      title: 'condition computed from the input',
      inputs: [{ shape: [2, 3], sample: awayFromZero }],
      build: (b, [x]) => [b.op('Where', [b.op('Greater', [x!, b.scalarLike(0, x!)]), x!, b.op('Exp', [x!])])],
    },
  ],
} satisfies Record<string, readonly GradientCase[] | typeof notDifferentiable>;
