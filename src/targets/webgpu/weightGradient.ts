import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { ConvWeightGrad, type ConvWeightGradAttributes } from '../../ops/convWeightGrad.js';
import type { Lowering } from '../../ops/operator.js';

/** Elements that the gradients of all parts of a batch have together at most: 16 MiB. */
const mostPartial = 1 << 22;

/** Elements of the inputs that one product reads: 128 MiB, what every WebGPU device binds. */
const mostColumns = 1 << 25;

/**
 * ConvWeightGrad as matrix products, a batch of them. As a convolution it would have a window as large as the map and
 * hardly any outputs, each summed up by one thread. With P = OH OW positions, each of T taps sees a strided slice of X in
 * the order `[N, H, W, C]`; dY `[N, K, P]` times the slices side by side `[N, P, T C]` is `[N, K, T C]`, which sums over N.
 */
export const convWeightGrad: Lowering<ConvWeightGradAttributes> = (b, inputs, attributes, outputs) => {
  const { strides, pads, dilations = [1, 1], group = 1, kernelShape } = attributes;
  if (group !== 1) return ConvWeightGrad.lower(b, inputs, attributes, outputs);
  const [x, dy] = inputs as [Value, Value];
  const [n, c] = x.dims as [number, number];
  const [, k, oh, ow] = dy.dims as [number, number, number, number];
  const [kh, kw] = kernelShape as [number, number];

  const parts = partsOf(n, k * c * kh * kw);
  const positions = (n / parts) * oh * ow;
  const gradient = inParts(b, dy, parts);
  const [top, left, bottom, right] = pads;
  let image = b.op('Transpose', [x], { perm: [0, 2, 3, 1] });
  if (pads.some((pad) => pad > 0)) {
    image = b.op('Pad', [image], { pads: [0, top, left, 0, 0, bottom, right, 0] });
  }
  /** Gradients of `count` taps from one on, `[K, count, C]`. */
  const ofTaps = (first: number, count: number): Value => {
    const seen = Array.from({ length: count }, (_, i) => {
      const starts = [Math.floor((first + i) / kw) * dilations[0], ((first + i) % kw) * dilations[1]];
      return strided(b, image, starts, strides, [oh, ow]);
    });
    const columns = b.reshape(joined(b, seen, 3), [parts, positions, count * c]);
    const products = b.op('MatMul', [gradient, columns]); // [parts, K, count C]
    return b.reshape(b.op('ReduceSum', [products], { axes: [0], keepdims: false }), [k, count, c]);
  };
  const atOnce = Math.min(kh * kw, Math.max(1, Math.floor(mostColumns / (n * oh * ow * c))));
  const groups = Array.from({ length: Math.ceil((kh * kw) / atOnce) }, (_, i) =>
    ofTaps(i * atOnce, Math.min(atOnce, kh * kw - i * atOnce)),
  );
  const dw = joined(b, groups, 1); // [K, T, C]
  return [b.reshape(kh * kw === 1 ? dw : b.op('Transpose', [dw], { perm: [0, 2, 1] }), [k, c, kh, kw])];
};

function joined(b: Builder, parts: readonly Value[], axis: number): Value {
  return parts.length === 1 ? parts[0]! : b.op('Concat', parts, { axis });
}

/** `[N, K, H, W]` -> `[parts, K, N / parts H W]`. */
function inParts(b: Builder, dy: Value, parts: number): Value {
  const [n, k, h, w] = dy.dims as [number, number, number, number];
  const each = n / parts;
  if (each === 1) return b.reshape(dy, [n, k, h * w]);
  const apart = b.op('Transpose', [b.reshape(dy, [parts, each, k, h * w])], { perm: [0, 2, 1, 3] });
  return b.reshape(apart, [parts, k, each * h * w]);
}

/** Every `steps`-th row and column of `[N, H, W, C]` from `starts` on. */
function strided(
  b: Builder,
  image: Value,
  starts: readonly number[],
  steps: readonly number[],
  counts: readonly number[],
): Value {
  if (starts.every((start) => start === 0) && counts.every((count, i) => count === image.dims[1 + i])) {
    return image;
  }
  const ends = starts.map((start, i) => start + steps[i]! * (counts[i]! - 1) + 1);
  return b.op('Slice', [image], { starts, ends, axes: [1, 2], steps });
}

/** Parts that a batch of `n` is cut into: as many as divide it and whose gradients of `size` elements stay small. */
function partsOf(n: number, size: number): number {
  let parts = n;
  while (n % parts !== 0 || (parts > 1 && parts * size > mostPartial)) parts--;
  return parts;
}
