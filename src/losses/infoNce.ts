import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/**
 * InfoNCE: mean cross entropy of similarities / temperature with target 0. Similarities `[R, 1 + K]`
 * (similarities.ts) -> scalar. Over the similarities of two views it is SimCLR's NT-Xent, over those of a batch
 * MoCo v3's cross entropy without its factor 2T.
 */
export function infoNce(b: Builder, similarities: Value, temperature: number): Value {
  const losses = b.op('SoftmaxCrossEntropy', [similarities, null], { temperature }); // [R]
  return b.op('ReduceMean', [losses], { keepdims: false });
}
