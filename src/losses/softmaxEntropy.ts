import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import { scale } from './scale.js';

/** Mean over the rows of logits `[R, C]` of the entropy of `softmax(row / temperature)`, in nats: `log Z - sum_j p_j z_j`. */
export function softmaxEntropy(b: Builder, logits: Value, temperature: number): Value {
  const axes = [1];
  const x = scale(b, b.op('Sub', [logits, b.op('ReduceMax', [logits], { axes })]), 1 / temperature);
  const e = b.op('Exp', [x]);
  const z = b.op('ReduceSum', [e], { axes }); // [R, 1]
  const weighted = b.op('ReduceSum', [b.op('Mul', [e, x])], { axes });
  const entropies = b.op('Sub', [b.op('Log', [z]), b.op('Div', [weighted, z])]);
  return b.op('ReduceMean', [entropies], { keepdims: false });
}
