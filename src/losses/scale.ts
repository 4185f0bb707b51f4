import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/** `x` times a constant, in the dtype of `x`. */
export function scale(b: Builder, x: Value, factor: number): Value {
  return b.op('Mul', [x, b.scalarLike(factor, x)]);
}
