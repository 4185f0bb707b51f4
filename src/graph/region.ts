import { elementCount } from '../onnx/model.js';

/** A rectangular part of a tensor: where it starts and how long it is along each axis. */
export interface Region {
  readonly start: readonly number[];
  readonly shape: readonly number[];
}

/** The block of a shape that starts at the first element. */
export function leading(shape: readonly number[]): Region {
  return { start: shape.map(() => 0), shape };
}

/** One past the last index along an axis. */
function endOf({ start, shape }: Region, axis: number): number {
  return start[axis]! + shape[axis]!;
}

/** What two regions of one tensor have in common, or null when that is nothing. */
export function intersection(a: Region, b: Region): Region | null {
  const start = a.start.map((from, i) => Math.max(from, b.start[i]!));
  const shape = start.map((from, i) => Math.min(endOf(a, i), endOf(b, i)) - from);
  return shape.every((length) => length > 0) ? { start, shape } : null;
}

/** The same region, counted from the start of one that contains it. */
export function within({ start, shape }: Region, outer: Region): Region {
  return { start: start.map((from, i) => from - outer.start[i]!), shape };
}

/** Row-major elements of a region of a row-major tensor of `shape`; the same array when the region is all of it. */
export function cut(values: Float32Array, shape: readonly number[], region: Region): Float32Array {
  // Axes that the region spans whole join into rows that are contiguous in both.
  let axis = shape.length;
  while (axis > 0 && region.shape[axis - 1] === shape[axis - 1]) axis -= 1;
  if (axis === 0) return values;
  const part = new Float32Array(elementCount(region.shape));
  eachRow(shape, region, axis, (from, to, length) => part.set(values.subarray(from, from + length), to));
  return part;
}

/** The inverse of `cut`: a tensor of `shape` with these elements in a region of it, zeros elsewhere. */
export function embedded(part: Float32Array, region: Region, shape: readonly number[]): Float32Array {
  const values = new Float32Array(elementCount(shape));
  eachRow(shape, region, shape.length, (from, to, length) =>
    values.set(part.subarray(to, to + length), from),
  );
  return values;
}

/**
 * The rows of a region of a tensor, axes from `axis` on joined, which the region spans whole: where each starts in the
 * tensor, where in the region alone, and its length.
 */
function eachRow(
  shape: readonly number[],
  region: Region,
  axis: number,
  visit: (from: number, to: number, length: number) => void,
): void {
  const inner = elementCount(shape.slice(axis));
  const row = region.shape[axis - 1]! * inner;
  const total = elementCount(region.shape);
  for (let to = 0; to < total; to += row) {
    let from = region.start[axis - 1]! * inner;
    let stride = shape[axis - 1]! * inner;
    let rest = to / row;
    for (let i = axis - 2; i >= 0; i--) {
      from += (region.start[i]! + (rest % region.shape[i]!)) * stride;
      rest = Math.floor(rest / region.shape[i]!);
      stride *= shape[i]!;
    }
    visit(from, to, row);
  }
}
