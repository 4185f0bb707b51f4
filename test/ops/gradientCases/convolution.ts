import type { ConvAttributes } from '../../../src/ops/conv.js';
import { notDifferentiable } from '../../../src/ops/operator.js';
import type { GradientCase } from '../../support/checkGradient.js';

/** x `[N, C, H, W]`, w `[K, C/group, kh, kw]`, with a bias where `bias` says so. */
function conv(
  title: string,
  x: number[],
  w: number[],
  attributes: Partial<ConvAttributes> = {},
  bias = false,
): GradientCase {
  const shapes = bias ? [x, w, [w[0]!]] : [x, w];
  return {
    title,
    dtype: 'float32',
    step: 1,
    inputs: shapes.map((shape, i) => ({ shape, parameter: i > 0 })),
    build: (b, inputs) => [b.op('Conv', inputs, { strides: [1, 1], pads: [0, 0, 0, 0], ...attributes })],
  };
}

export const convolution = {
  Conv: [
    conv('1x1', [2, 3, 4, 5], [4, 3, 1, 1]),
    conv('1x1 stride 2 on an odd size', [2, 3, 5, 5], [4, 3, 1, 1], { strides: [2, 2] }),
    conv('1x1 stride 2 on an even size', [2, 3, 4, 6], [4, 3, 1, 1], { strides: [2, 2] }),
    conv('1x1 pad 1 (more than the kernel reaches)', [1, 2, 3, 3], [2, 2, 1, 1], { pads: [1, 1, 1, 1] }),
    conv('3x3 pad 1', [2, 3, 5, 4], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }),
    conv('3x3 pad 1 with bias', [2, 3, 5, 4], [4, 3, 3, 3], { pads: [1, 1, 1, 1] }, true),
    conv('3x3 stride 2 pad 1 on an even size', [2, 3, 6, 8], [4, 3, 3, 3], {
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    }),
    conv('3x3 stride 2 pad 1 on an odd size', [2, 3, 7, 5], [4, 3, 3, 3], {
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    }),
    conv('3x3 stride 3 that does not divide the extent', [2, 2, 8, 10], [3, 2, 3, 3], { strides: [3, 3] }),
    conv('7x7 stride 2 pad 3', [1, 3, 11, 12], [2, 3, 7, 7], { strides: [2, 2], pads: [3, 3, 3, 3] }, true),
    conv('2x2 stride 2', [2, 2, 5, 4], [3, 2, 2, 2], { strides: [2, 2] }),
    conv('4x2 (even kernel) pad 1', [2, 2, 6, 5], [3, 2, 4, 2], { pads: [1, 1, 1, 1] }),
    conv('3x5 strides 1 and 2', [2, 2, 5, 9], [3, 2, 3, 5], { strides: [1, 2], pads: [1, 2, 1, 2] }),
    conv('3x3 asymmetric padding', [2, 2, 5, 6], [3, 2, 3, 3], { pads: [0, 1, 2, 0] }),
    conv('3x3 stride 2 asymmetric padding', [2, 2, 6, 7], [3, 2, 3, 3], {
      strides: [2, 2],
      pads: [0, 1, 2, 0],
    }),
    conv('3x3 dilation 2 pad 2', [2, 2, 7, 6], [3, 2, 3, 3], { dilations: [2, 2], pads: [2, 2, 2, 2] }),
    conv('3x3 dilations 2 and 1', [2, 2, 7, 6], [3, 2, 3, 3], { dilations: [2, 1], pads: [2, 1, 0, 1] }),
    conv('3x3 dilations 1 and 2 stride 2', [2, 2, 8, 9], [3, 2, 3, 3], {
      dilations: [1, 2],
      strides: [2, 2],
    }),
    conv('3x3 in 2 groups', [2, 4, 5, 5], [6, 2, 3, 3], { group: 2, pads: [1, 1, 1, 1] }, true),
    conv('3x3 in 2 groups stride 2 on an even size', [2, 4, 6, 6], [2, 2, 3, 3], {
      group: 2,
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    }),
    conv('3x3 depthwise', [2, 3, 5, 5], [3, 1, 3, 3], { group: 3, pads: [1, 1, 1, 1] }),
    conv('3x3 depthwise, 2 outputs a channel, stride 2', [1, 3, 6, 5], [6, 1, 3, 3], {
      group: 3,
      strides: [2, 2],
      pads: [1, 1, 1, 1],
    }),
    conv('whole image', [2, 3, 4, 4], [5, 3, 4, 4]),
    conv('batch, channels and filters of 1', [1, 1, 3, 3], [1, 1, 2, 2]),
    {
      title: 'weight only (the image is a constant)',
      dtype: 'float32',
      step: 1,
      inputs: [{ shape: [2, 3, 3, 3], parameter: true }],
      build: (b, [w]) => {
        const image = b.graph.constant(
          Float32Array.from({ length: 75 }, (_, i) => Math.sin(i)),
          [1, 3, 5, 5],
          'float32',
        );
        return [b.op('Conv', [image, w!], { strides: [2, 2], pads: [1, 1, 1, 1] })];
      },
    },
  ],
  ConvInputGrad: notDifferentiable,
  ConvTranspose: notDifferentiable,
  ConvWeightGrad: notDifferentiable,
} satisfies Record<string, readonly GradientCase[] | typeof notDifferentiable>;
