import {
  notDifferentiable,
  type CompositeOperator,
  type NoAttributes,
  type StandardOperator,
} from './operator.js';
import { fixed, floating, rank, required } from './shapes.js';
import { oneHot, softmaxError } from './softmaxCrossEntropy.js';

/**
 * ONNX SoftmaxCrossEntropyLoss, the mean over the batch: (logits `[N, C]`, labels int64 `[N]`) -> loss `[]`, log
 * probabilities `[N, C]`; N may be symbolic.
 */
export const SoftmaxCrossEntropyLoss: StandardOperator<NoAttributes> = {
  domain: '',
  infer([logits, labels]) {
    const z = rank(floating(required(logits, 'logits')), 2, 'logits');
    const l = rank(required(labels, 'labels'), 1, 'labels');
    if (l.dtype !== 'int64') throw new Error(`labels are ${l.dtype}, int64 is accepted`);
    return [{ dtype: z.dtype, shape: [] }, z];
  },
  gradient({ b, inputs: [, labels], outputs: [, logProbabilities], gradients: [dLoss, dLog] }) {
    if (dLog) throw new Error('SoftmaxCrossEntropyLoss: log probabilities are not a differentiable output');
    return [b.op('SoftmaxCrossEntropyLossGrad', [dLoss!, logProbabilities!, labels!]), null];
  },
  emit: () => ({ attributes: { reduction: 'mean' } }),
};

/**
 * Gradient of SoftmaxCrossEntropyLoss: (dloss `[]`, log probabilities `[N, C]`, labels int64 `[N]`) -> dlogits
 * (softmax - one hot) dloss / N.
 */
export const SoftmaxCrossEntropyLossGrad: CompositeOperator<NoAttributes> = {
  domain: 'slimclr',
  infer: ([, logProbabilities]) => [required(logProbabilities, 'log probabilities')],
  gradient: notDifferentiable,
  lower(b, [dLoss, logProbabilities, labels]) {
    const n = fixed(labels!.shape[0], 'the batch');
    const share = b.op('Mul', [dLoss!, b.scalarLike(1 / n, dLoss!)]);
    const rows = b.op('Expand', [b.reshape(share, [1])], { shape: [n] });
    return [softmaxError(b, logProbabilities!, oneHot(b, labels!, logProbabilities!), rows, {})];
  },
};
