import type { Value } from '../../src/graph/graph.js';
import type { Builder } from '../../src/ops/builder.js';

/** A constant of int64 class labels. */
export function labelsOf(b: Builder, labels: readonly number[]): Value {
  return b.graph.constant(BigInt64Array.from(labels, BigInt), [labels.length], 'int64');
}
