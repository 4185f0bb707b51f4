import { notDifferentiable } from '../../../src/ops/operator.js';
import type { GradientCase, GradientInput } from '../../support/checkGradient.js';
import { awayFromZero, normal } from '../../support/samples.js';

function batchNorm(title: string, x: GradientInput): GradientCase {
  const channels = x.shape[1]!;
  return {
    title,
    dtype: 'float32',
    inputs: [x, { shape: [channels] }, { shape: [channels] }],
    build: (b, inputs) => [b.op('BatchNormTrain', inputs, { epsilon: 1e-5 })],
  };
}

/** Through frozen statistics: means 1, 2, ..., variances 1/2, 2/3, ... */
function frozenBatchNorm(title: string, x: GradientInput): GradientCase {
  const channels = x.shape[1]!;
  const numbers = Array.from({ length: channels }, (_, c) => c + 1);
  return {
    title,
    dtype: 'float32',
    step: 1,
    inputs: [x, { shape: [channels] }, { shape: [channels] }],
    build: (b, inputs) => {
      const vector = (values: number[]) => b.graph.constant(Float32Array.from(values), [channels], 'float32');
      const statistics = [vector(numbers), vector(numbers.map((c) => c / (c + 1)))];
      return [b.op('BatchNormalization', [...inputs, ...statistics], { epsilon: 1e-5 })];
    },
  };
}

export const normalization = {
  BatchNormalization: [
    frozenBatchNorm('[4,3,5,5]', { shape: [4, 3, 5, 5] }),
    frozenBatchNorm('[1,16,3,4]', { shape: [1, 16, 3, 4] }),
    frozenBatchNorm('[8,2,1,1]', { shape: [8, 2, 1, 1] }),
  ],
  BatchNormTrain: [
    batchNorm('[4,3,5,5]', { shape: [4, 3, 5, 5] }),
    batchNorm('[8,2,1,1] (statistics over the batch only)', { shape: [8, 2, 1, 1] }),
    batchNorm('[1,2,3,7] (statistics over one image)', { shape: [1, 2, 3, 7] }),
    batchNorm('[1,16,3,4] (one image, whole blocks)', { shape: [1, 16, 3, 4] }),
    batchNorm('[8,4,2,2] (samples that share a block)', { shape: [8, 4, 2, 2] }),
    batchNorm('[3,20,2,2]', { shape: [3, 20, 2, 2] }),
    batchNorm('mean 3, standard deviation 2', {
      shape: [4, 2, 3, 3],
      sample: (random, count) => normal(random, count).map((x) => 3 + 2 * x),
    }),
  ],
  BatchNormTrainGrad: notDifferentiable,
  L2Normalize: [
    [3, 4],
    [1, 7],
    [5, 2],
  ].map((shape): GradientCase => ({
    title: `[${shape.join(',')}]`,
    dtype: 'float32',
    // Rows far from zero: near it the function bends within a step.
    inputs: [{ shape, sample: awayFromZero }],
    build: (b, [x]) => [b.op('L2Normalize', [x!])],
  })),
} satisfies Record<string, readonly GradientCase[] | typeof notDifferentiable>;
