import type { Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import type { MaxPoolAttributes } from '../../ops/maxPool.js';
import type { Lowering } from '../../ops/operator.js';

/** The window of one axis: `axis` 2 are the rows, 3 the columns. */
interface Window {
  readonly axis: 2 | 3;
  readonly kernel: number;
  readonly stride: number;
  readonly pad: number;
}

/**
 * MaxPoolGrad without Indices, which the provider's MaxPool does not compute: one axis after the other, the maxima of
 * each row of a window first. The first column that has the maximum of the first row that has the maximum of the window
 * is the first in row-major order, and kh + kw elements are compared instead of kh kw.
 */
export const maxPoolGrad: Lowering<MaxPoolAttributes> = (b, [dy, x, y], { kernelShape, strides, pads }) => {
  const window = (axis: 2 | 3): Window => {
    const i = axis - 2;
    return { axis, kernel: kernelShape[i]!, stride: strides[i]!, pad: pads[i]! };
  };
  const [, left, , right] = pads;
  const inRows = b.op('MaxPool', [x!], {
    kernelShape: [1, kernelShape[1]],
    strides: [1, strides[1]],
    pads: [0, left, 0, right],
  });
  const dRows = toFirstMaximum(b, window(2), inRows, y!, dy!);
  return [toFirstMaximum(b, window(3), x!, inRows, dRows)];
};

/** Gradient of `x`, given the maxima along one axis and their gradient: each goes to the first maximum of its window. */
function toFirstMaximum(b: Builder, window: Window, x: Value, maxima: Value, gradient: Value): Value {
  const { axis, kernel, stride, pad } = window;
  const size = x.dims[axis]!;
  const count = maxima.dims[axis]!;
  const reach = stride * (count - 1) + kernel;
  const padded = padAxis(b, x, axis, pad, Math.max(0, reach - pad - size));
  const zero = b.scalarLike(0, x);

  let rest = gradient;
  const taps = Array.from({ length: kernel }, (_, tap) => {
    const element = b.op('Slice', [padded], {
      starts: [tap],
      ends: [tap + stride * (count - 1) + 1],
      axes: [axis],
      steps: [stride],
    });
    let here = b.op('Where', [b.op('Equal', [element, maxima]), rest, zero]);
    const inside = Array.from({ length: count }, (_, i) => {
      const at = i * stride + tap - pad;
      return at >= 0 && at < size;
    });
    if (inside.includes(false)) here = b.op('Mul', [here, mask(b, inside, axis, x)]);
    // An element takes its share whole, so that the rest is the gradient itself or exactly 0.
    if (tap < kernel - 1) rest = b.op('Sub', [rest, here]);
    return here;
  });
  return sliceAxis(b, spread(b, window, taps), axis, pad, size);
}

/**
 * Adds up what the windows give their taps: element `i` of tap `t` lies at `i stride + t`. Those of one remainder by
 * the stride are a phase, and phases are interleaved. Long enough for all of the padded axis.
 */
function spread(b: Builder, { axis, stride }: Window, taps: readonly Value[]): Value {
  const [n, c, h, w] = taps[0]!.dims as [number, number, number, number];
  const count = axis === 2 ? h : w;
  // One more than what the taps reach: rows that no window sees follow them.
  const shifts = Math.ceil(taps.length / stride);
  const length = count + shifts;
  const phases = Array.from({ length: Math.min(stride, taps.length) }, (_, phase) =>
    taps
      .flatMap((tap, t) => {
        const shift = (t - phase) / stride;
        return Number.isInteger(shift) && shift >= 0
          ? [padAxis(b, tap, axis, shift, length - count - shift)]
          : [];
      })
      .reduce((sum, tap) => b.op('Add', [sum, tap])),
  );
  const rows = n * c * (axis === 2 ? length : h * length);
  const columns = axis === 2 ? w : 1;
  const stacked = concatenated(
    b,
    phases.map((phase) => b.reshape(phase, [rows, columns])),
  );
  const missing = (stride - phases.length) * columns;
  const whole = missing > 0 ? b.op('Pad', [stacked], { pads: [0, 0, 0, missing] }) : stacked;
  return b.reshape(whole, axis === 2 ? [n, c, length * stride, w] : [n, c, h, length * stride]);
}

function concatenated(b: Builder, parts: readonly Value[]): Value {
  return parts.length === 1 ? parts[0]! : b.op('Concat', parts, { axis: 1 });
}

function padAxis(b: Builder, x: Value, axis: 2 | 3, before: number, after: number): Value {
  if (before === 0 && after === 0) return x;
  const pads = new Array<number>(8).fill(0);
  pads[axis] = before;
  pads[axis + 4] = after;
  return b.op('Pad', [x], { pads });
}

/** `size` elements from `start` on, zeros where they end before. */
function sliceAxis(b: Builder, x: Value, axis: 2 | 3, start: number, size: number): Value {
  const end = Math.min(start + size, x.dims[axis]!);
  const part = b.op('Slice', [x], { starts: [start], ends: [end], axes: [axis] });
  return padAxis(b, part, axis, 0, start + size - end);
}

/** 1 where a window's tap lies inside the map, along an axis. */
function mask(b: Builder, inside: readonly boolean[], axis: 2 | 3, like: Value): Value {
  const shape = [1, 1, 1, 1].with(axis, inside.length);
  const values = (like.dtype === 'float64' ? Float64Array : Float32Array).from(inside.map(Number));
  return b.graph.constant(values, shape, like.dtype);
}
