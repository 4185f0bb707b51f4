import { type CompositeOperator, type NoAttributes } from './operator.js';
import { fixed, floating, rank, required } from './shapes.js';
import type { Value } from '../graph/graph.js';
import type { Builder } from './builder.js';

declare module './operator.js' {
  interface OperatorAttributes {
    SoftmaxCrossEntropy: NoAttributes;
  }
}

/**
 * Cross entropy with class labels: (logits `[N, C]`, labels int64 `[N]`) -> losses `[N]`, log probabilities
 * `[N, C]`. dlogits = (softmax - one hot) dloss.
 */
export const SoftmaxCrossEntropy: CompositeOperator<NoAttributes> = {
  domain: 'slimclr',
  infer([logits, labels]) {
    const z = rank(floating(required(logits, 'logits')), 2, 'logits');
    const l = rank(required(labels, 'labels'), 1, 'labels');
    if (l.dtype !== 'int64') throw new Error(`labels are ${l.dtype}, int64 is accepted`);
    fixed(z.shape[1], 'the number of classes');
    return [{ dtype: z.dtype, shape: [z.shape[0]!] }, z];
  },
  gradient({ b, inputs: [logits, labels], outputs: [, logProbabilities], gradients: [dLoss, dLog] }) {
    if (dLog) throw new Error('SoftmaxCrossEntropy: log probabilities are not a differentiable output');
    const [n, c] = logits!.dims as [number, number];
    const error = b.op('Sub', [b.op('Exp', [logProbabilities!]), oneHot(b, labels!, c, logits!)]);
    return [b.op('Mul', [error, b.reshape(dLoss!, [n, 1])]), null];
  },
  lower(b, [logits, labels]) {
    const c = logits!.dims[1]!;
    const logProbabilities = b.op('LogSoftmax', [logits!]);
    const picked = b.op('Mul', [logProbabilities, oneHot(b, labels!, c, logits!)]);
    return [b.op('Neg', [b.op('ReduceSum', [picked], { axes: [1], keepdims: false })]), logProbabilities];
  },
};

function oneHot(b: Builder, labels: Value, classes: number, like: Value): Value {
  return b.op('Cast', [isLabel(b, labels, classes)], { to: like.dtype });
}

/** Labels int64 `[N]` -> bool `[N, C]`, true in the column of each row's label. */
export function isLabel(b: Builder, labels: Value, classes: number): Value {
  const indices = b.graph.constant(
    BigInt64Array.from({ length: classes }, (_, i) => BigInt(i)),
    [1, classes],
    'int64',
  );
  return b.op('Equal', [b.reshape(labels, [labels.dims[0]!, 1]), indices]);
}
