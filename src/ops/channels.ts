import type { ElementType, Value } from '../graph/graph.js';
import { floatsOf, type FloatType } from '../onnx/model.js';
import type { Builder } from './builder.js';
import type { ReduceAttributes } from './reduction.js';

/** The type in which elements of a type are summed: float32 for float16, which has 11 bits and ends at 65504. */
export function sumType(dtype: ElementType): ElementType {
  return dtype === 'float16' ? 'float32' : dtype;
}

/** ReduceSum, float16 within float32. */
export function summed(b: Builder, x: Value, attributes: ReduceAttributes): Value {
  return b.cast(b.op('ReduceSum', [b.cast(x, sumType(x.dtype))], attributes), x.dtype);
}

/**
 * Mean of each channel, `[N, C, H, W]` -> `[C]`: of each map, then over the batch. ONNX Runtime's CPU kernels add up a
 * map in parts and are up to four times as fast that way. In one step some of them, ReduceSumSquare's among them, add
 * all N H W values to one float32, which is off by 7e-5 for 256 maps of 32x32.
 */
export function meanPerChannel(b: Builder, x: Value): Value {
  return overBatch(b, 'ReduceMean', x);
}

/** Sum of each channel, `[N, C, H, W]` -> `[C]`, in the same order. */
export function channelSum(b: Builder, x: Value): Value {
  return overBatch(b, 'ReduceSum', x);
}

function overBatch(b: Builder, reduction: 'ReduceMean' | 'ReduceSum', x: Value): Value {
  const maps = b.op(reduction, [x], { axes: [2, 3], keepdims: false }); // [N, C]
  return b.op(reduction, [maps], { axes: [0], keepdims: false });
}

/**
 * `scale x / sqrt(variance + epsilon) + bias` in one pass over x `[N, C, H, W]`, by the standard operator in inference
 * mode; bias is 0 unless given. Its mean is 0 and x has to be centred: it computes `x s + (bias - mean s)`, which
 * cancels where |mean| >> std.
 */
export function scaleCentred(
  b: Builder,
  x: Value,
  { scale, bias, variance, epsilon }: { scale: Value; bias?: Value; variance: Value; epsilon: number },
): Value {
  const channels = scale.dims[0]!;
  const dtype = scale.dtype as FloatType;
  const mean = b.graph.constant(floatsOf(dtype, new Float32Array(channels)), scale.dims, dtype);
  return b.op('BatchNormalization', [x, scale, bias ?? mean, mean, variance], { epsilon });
}
