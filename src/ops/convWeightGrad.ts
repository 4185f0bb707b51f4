import type { Value } from '../graph/graph.js';
import type { Builder } from './builder.js';
import { convFlops, type ConvAttributes } from './conv.js';
import { notDifferentiable, type CompositeOperator } from './operator.js';
import { fixed, rank, required, sameTypes } from './shapes.js';

export interface ConvWeightGradAttributes extends ConvAttributes {
  /** [kh, kw]. */
  readonly kernelShape: readonly number[];
}

/**
 * Gradient of Conv with respect to W: (X `[N, C, H, W]`, dY `[N, K, OH, OW]`) -> `[K, C/group, kh, kw]`.
 *
 * dW[k, c, i, j] = sum over n, o, p of dY[n, k, o, p] X[n, c, s o + d i, s p + d j] is itself a convolution, with
 * dY as the kernel, N as its input channels, and stride and dilation exchanged.
 */
export const ConvWeightGrad: CompositeOperator<ConvWeightGradAttributes> = {
  domain: 'slimclr',
  infer([input, dy], { kernelShape, group = 1 }) {
    const x = rank(required(input, 'X'), 4, 'X');
    const y = rank(required(dy, 'dY'), 4, 'dY');
    sameTypes(x, y);
    const channels = fixed(x.shape[1], 'channels of X') / group;
    return [{ dtype: x.dtype, shape: [y.shape[1]!, channels, ...kernelShape] }];
  },
  gradient: notDifferentiable,
  flops: ([, dy], [dw]) => convFlops(dw!, dy!),
  lower(b, [x, dy], attributes) {
    const dense = (attributes.group ?? 1) === 1 && (attributes.dilations?.[1] ?? 1) === 1;
    return [dense ? interleaved(b, x!, dy!, attributes) : grouped(b, x!, dy!, attributes)];
  },
};

/**
 * One image `[1, N, H, W C]` whose columns interleave the channels: one convolution with few, long rows,
 * several times faster on ONNX Runtime's CPU kernels than C images of `[N, H, W]`.
 */
function interleaved(b: Builder, x: Value, dy: Value, attributes: ConvWeightGradAttributes): Value {
  const { strides, pads, dilations = [1, 1], kernelShape } = attributes;
  const [n, c, h, w] = x.dims as [number, number, number, number];
  const k = dy.dims[1]!;
  const image = b.reshape(b.op('Transpose', [x], { perm: [0, 2, 3, 1] }), [1, n, h, w * c]);
  const kernel = b.op('Transpose', [dy], { perm: [1, 0, 2, 3] });
  const taps = b.op('Conv', [image, kernel], {
    strides: [dilations[0], 1],
    pads: [pads[0], pads[1] * c, pads[2], pads[3] * c],
    dilations: [strides[0], strides[1] * c],
  });
  const [, , th, tw] = taps.dims as [number, number, number, number];
  const blocks = b.reshape(taps, [k, th, tw / c, c]);
  return crop(b, b.op('Transpose', [blocks], { perm: [0, 3, 1, 2] }), kernelShape);
}

/** C/group images of G N channels, convolved group by group. */
function grouped(b: Builder, x: Value, dy: Value, attributes: ConvWeightGradAttributes): Value {
  const { strides, pads, dilations = [1, 1], group = 1, kernelShape } = attributes;
  const [n, c, h, w] = x.dims as [number, number, number, number];
  const each = c / group;
  const split = b.reshape(x, [n, group, each, h, w]);
  const images = b.reshape(b.op('Transpose', [split], { perm: [2, 1, 0, 3, 4] }), [each, group * n, h, w]);
  const kernel = b.op('Transpose', [dy], { perm: [1, 0, 2, 3] });
  const taps = b.op('Conv', [images, kernel], { strides: dilations, pads, dilations: strides, group });
  return crop(b, b.op('Transpose', [taps], { perm: [1, 0, 2, 3] }), kernelShape);
}

/** Where the stride does not divide the extent, the convolution finds taps beyond the kernel. */
function crop(b: Builder, taps: Value, [kh, kw]: readonly number[]): Value {
  if (taps.dims[2] === kh && taps.dims[3] === kw) return taps;
  return b.op('Slice', [taps], { starts: [0, 0], ends: [kh!, kw!], axes: [2, 3] });
}
