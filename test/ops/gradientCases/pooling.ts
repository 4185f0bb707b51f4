import type { MaxPoolAttributes } from '../../../src/ops/maxPool.js';
import { notDifferentiable } from '../../../src/ops/operator.js';
import type { GradientCase } from '../../support/checkGradient.js';
import { distinct } from '../../support/samples.js';

function maxPool(title: string, shape: number[], attributes: MaxPoolAttributes): GradientCase {
  return {
    title,
    inputs: [{ shape, sample: distinct }],
    build: (b, [x]) => [b.op('MaxPool', [x!], attributes)],
  };
}

export const pooling = {
  GlobalAveragePool: [
    [2, 3, 4, 5],
    [1, 1, 1, 1],
    [3, 2, 1, 7],
    [1, 16, 1, 1],
    [8, 4, 3, 3],
    [1, 20, 7, 8],
  ].map((shape): GradientCase => ({
    title: `[${shape.join(',')}]`,
    dtype: 'float32',
    step: 1,
    inputs: [{ shape }],
    build: (b, [x]) => [b.op('GlobalAveragePool', [x!])],
  })),
  MaxPool: [
    maxPool('2x2 stride 2', [2, 3, 4, 6], { kernelShape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] }),
    maxPool('3x3 stride 2 pad 1 (overlapping windows)', [2, 3, 8, 7], {
      kernelShape: [3, 3],
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    }),
    maxPool('3x3 stride 1', [1, 2, 5, 5], { kernelShape: [3, 3], strides: [1, 1], pads: [0, 0, 0, 0] }),
    maxPool('2x3 strides 1 and 3, asymmetric padding', [2, 2, 5, 8], {
      kernelShape: [2, 3],
      strides: [1, 3],
      pads: [1, 0, 0, 2],
    }),
    maxPool('1x1 stride 2 (elements that no window sees)', [1, 2, 5, 4], {
      kernelShape: [1, 1],
      strides: [2, 2],
      pads: [0, 0, 0, 0],
    }),
  ],
  MaxPoolGrad: notDifferentiable,
} satisfies Record<string, readonly GradientCase[] | typeof notDifferentiable>;
