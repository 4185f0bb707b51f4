import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/** Supervised training: mean cross entropy. Logits `[N, C]`, labels int64 `[N]` -> scalar. */
export function crossEntropy(b: Builder, logits: Value, labels: Value): Value {
  const losses = b.op('SoftmaxCrossEntropy', [logits, labels]); // [N]
  return b.op('ReduceMean', [losses], { keepdims: false });
}
