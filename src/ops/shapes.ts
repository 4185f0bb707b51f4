import type { Dimension, TensorType } from '../graph/graph.js';
import { isFloating } from '../onnx/model.js';

/** Shape rules that several operators share. */

export function required(type: TensorType | null | undefined, what: string): TensorType {
  if (!type) throw new Error(`${what} is missing`);
  return type;
}

/** ONNX multidirectional broadcasting of two shapes. */
export function broadcast(a: readonly Dimension[], b: readonly Dimension[]): Dimension[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const da = a[i - rank + a.length] ?? 1;
    const db = b[i - rank + b.length] ?? 1;
    if (da === db || db === 1) return da;
    if (da === 1) return db;
    throw new Error(`shapes [${a.join(',')}] and [${b.join(',')}] do not broadcast`);
  });
}

export function normalAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new Error(`axis ${axis} is outside -${rank} .. ${rank - 1}`);
  }
  return axis < 0 ? axis + rank : axis;
}

export function sameTypes(a: TensorType, b: TensorType): void {
  if (a.dtype !== b.dtype) throw new Error(`dtypes ${a.dtype} and ${b.dtype} differ`);
}

export function floating(type: TensorType): TensorType {
  if (!isFloating(type.dtype)) throw new Error(`dtype ${type.dtype} is not floating point`);
  return type;
}

export function rank(type: TensorType, expected: number, what: string): TensorType {
  if (type.shape.length !== expected) {
    throw new Error(
      `${what} has rank ${type.shape.length} ([${type.shape.join(',')}]), ${expected} is accepted`,
    );
  }
  return type;
}

/** A dimension that must be known. */
export function fixed(d: Dimension | undefined, what: string): number {
  if (typeof d !== 'number') throw new Error(`${what} must be static, not "${d}"`);
  return d;
}

/** [H, W] of a map `[N, C, H, W]`, whose batch may be symbolic. */
export function mapShape({ shape }: TensorType): number[] {
  return shape.slice(2).map((d) => fixed(d, 'the extent of a map'));
}

/** Extent of a strided window along one axis, as Conv and MaxPool define it (floor mode). */
export function windowed(size: number, kernel: number, stride: number, pads: number, dilation = 1): number {
  const out = Math.floor((size + pads - dilation * (kernel - 1) - 1) / stride) + 1;
  if (out < 1) throw new Error(`a window of ${kernel} with padding ${pads} does not fit into ${size}`);
  return out;
}

/** Elements for the count of operations, which treats a symbolic dimension (the batch) as one. */
export function countedElements(shape: readonly Dimension[]): number {
  return shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : 1), 1);
}
