import { int64 } from './reduction.js';
import type { StandardOperator } from './operator.js';
import { fixed, normalAxis, required } from './shapes.js';

/** For each of `axes`: from `starts` (inclusive) to `ends` (exclusive) in `steps` (default 1). No negative ends. */
export interface SliceAttributes {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly number[];
  /** -1 with start = size - 1 and end = `reverseEnd` reverses an axis. */
  readonly steps?: readonly number[];
}

/** `end` that means "up to and including index 0" for a negative step. */
export const reverseEnd = -(2 ** 31);

/** ONNX Slice. Differentiable for positive steps of 1. */
export const Slice: StandardOperator<SliceAttributes> = {
  domain: '',
  infer([input], { starts, ends, axes, steps }) {
    const x = required(input, 'input');
    const shape = [...x.shape];
    for (const [i, axis] of axes.entries()) {
      const at = normalAxis(axis, shape.length);
      const size = fixed(shape[at], `dimension ${at}`);
      const start = starts[i]!;
      const end = ends[i] === reverseEnd ? -1 : ends[i]!;
      const step = steps?.[i] ?? 1;
      const length = Math.ceil((Math.min(end, size) - start) / step);
      const negativeEnd = ends[i]! < 0 && ends[i] !== reverseEnd;
      if (start < 0 || start >= size || length < 1 || negativeEnd) {
        throw new Error(
          `slice ${start}:${ends[i]}:${step} of axis ${at} with ${size} elements is empty or outside`,
        );
      }
      shape[at] = length;
    }
    return [{ dtype: x.dtype, shape }];
  },
  gradient({ b, inputs: [x], gradients: [dy], attributes: { starts, axes, steps } }) {
    if (steps?.some((step) => step !== 1))
      throw new Error('the gradient of a strided Slice is not supported');
    const rank = x!.shape.length;
    const before = new Array<number>(rank).fill(0);
    axes.forEach((axis, i) => (before[normalAxis(axis, rank)] = starts[i]!));
    const after = x!.dims.map((size, i) => size - before[i]! - dy!.dims[i]!);
    return [b.op('Pad', [dy!], { pads: [...before, ...after] })];
  },
  flops: () => 0,
  emit: ({ starts, ends, axes, steps }) => ({
    constants: [int64(starts), int64(ends), int64(axes), ...(steps ? [int64(steps)] : [])],
  }),
};
