import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { scale } from './scale.js';

/**
 * InfoNCE: mean cross entropy of similarities / temperature with target 0. Similarities `[R, 1 + K]`
 * (similarities.ts) -> scalar. Over the similarities of two views it is SimCLR's NT-Xent, over those of a batch
 * MoCo v3's cross entropy without its factor 2T.
 */
export function infoNce(b: Builder, similarities: Value, temperature: number): Value {
  const logProbabilities = b.op('LogSoftmax', [scale(b, similarities, 1 / temperature)]);
  const positive = b.op('Slice', [logProbabilities], { starts: [0], ends: [1], axes: [1] });
  return b.op('Neg', [b.op('ReduceMean', [positive], { keepdims: false })]);
}
