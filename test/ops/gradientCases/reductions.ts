import type { ReduceAttributes } from '../../../src/ops/reduction.js';
import type { GradientCase, GradientInput } from '../../support/checkGradient.js';
import { distinct, normal } from '../../support/samples.js';

const configurations: readonly (readonly [number[], ReduceAttributes])[] = [
  [[2, 3, 4], {}],
  [[2, 3, 4], { keepdims: false }],
  [[2, 3, 4], { axes: [0] }],
  [[2, 3, 4], { axes: [1], keepdims: false }],
  [[2, 3, 4], { axes: [-1] }],
  [[2, 3, 4], { axes: [2, 0], keepdims: false }],
  [[2, 3, 4, 5], { axes: [0, 2, 3], keepdims: false }],
  [[2, 1, 4], { axes: [2] }],
  [[2, 1, 4], { axes: [1], keepdims: false }],
  [[2, 3], { axes: [] }],
  [[], {}],
];

function reduction(
  op: 'ReduceMax' | 'ReduceMean' | 'ReduceSum' | 'ReduceSumSquare',
  sample: GradientInput['sample'] = normal,
): GradientCase[] {
  return configurations.map(([shape, attributes]) => {
    const axes = attributes.axes ? `axes [${attributes.axes.join(',')}]` : 'all axes';
    return {
      title: `[${shape.join(',')}] over ${axes}${attributes.keepdims === false ? ', dropped' : ''}`,
      inputs: [{ shape, sample }],
      build: (b, [x]) => [b.op(op, [x!], attributes)],
    };
  });
}

export const reductions = {
  ReduceMax: reduction('ReduceMax', distinct),
  ReduceMean: reduction('ReduceMean'),
  ReduceSum: reduction('ReduceSum'),
  ReduceSumSquare: reduction('ReduceSumSquare'),
} satisfies Record<string, readonly GradientCase[]>;
