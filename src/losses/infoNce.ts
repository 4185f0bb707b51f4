import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/**
 * Similarities of queries with their key and with the queue, before the temperature (docs/method.md, step 3).
 * query, keys `[N, D]`, queue `[K, D]`, all L2-normalised -> `[N, 1 + K]`, the positive first.
 */
export function contrastiveLogits(b: Builder, query: Value, keys: Value, queue: Value): Value {
  const positive = b.op('ReduceSum', [b.op('Mul', [query, keys])], { axes: [1] });
  const negative = b.op('Gemm', [query, queue], { transB: true });
  return b.op('Concat', [positive, negative], { axis: 1 });
}

/** InfoNCE: mean cross entropy of logits / temperature with target 0. Logits `[N, 1 + K]` -> scalar. */
export function infoNce(b: Builder, logits: Value, temperature: number): Value {
  const logProbabilities = b.op('LogSoftmax', [b.op('Mul', [logits, b.scalar(1 / temperature)])]);
  const positive = b.op('Slice', [logProbabilities], { starts: [0], ends: [1], axes: [1] });
  return b.op('Neg', [b.op('ReduceMean', [positive], { keepdims: false })]);
}
