import { sameShape } from '../graph/graph.js';
import type { CompositeOperator } from './operator.js';
import { fixed, floating, rank, required, sameTypes } from './shapes.js';
import { logSoftmax, softmaxError, type TemperatureAttributes } from './softmaxCrossEntropy.js';

/**
 * Cross entropy with a distribution for each row: (logits `[N, C]`, targets `[N, C]`, rows that sum to 1) -> losses `[N]`,
 * log probabilities `[N, C]`. dlogits = (softmax - target) dloss / temperature. Targets are constants.
 */
export const SoftCrossEntropy: CompositeOperator<TemperatureAttributes> = {
  domain: 'slimclr',
  infer([logits, targets]) {
    const z = rank(floating(required(logits, 'logits')), 2, 'logits');
    const t = required(targets, 'targets');
    fixed(z.shape[1], 'the number of classes');
    sameTypes(z, t);
    if (!sameShape(z.shape, t.shape)) {
      throw new Error(`targets are [${t.shape.join(',')}], [${z.shape.join(',')}] is accepted`);
    }
    return [{ dtype: z.dtype, shape: [z.shape[0]!] }, z];
  },
  gradient({ b, inputs: [, targets], outputs: [, logProbabilities], gradients: [dLoss, dLog], attributes }) {
    if (dLog) throw new Error('SoftCrossEntropy: log probabilities are not a differentiable output');
    return [softmaxError(b, logProbabilities!, targets!, dLoss!, attributes), null];
  },
  lower(b, [logits, targets], attributes) {
    const logProbabilities = logSoftmax(b, logits!, attributes);
    const picked = b.op('Mul', [targets!, logProbabilities]);
    return [b.op('Neg', [b.op('ReduceSum', [picked], { axes: [1], keepdims: false })]), logProbabilities];
  },
};
