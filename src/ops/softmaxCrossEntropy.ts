import type { Value } from '../graph/graph.js';
import { floatsOf, type FloatType } from '../onnx/model.js';
import type { Builder } from './builder.js';
import type { CompositeOperator } from './operator.js';
import { fixed, floating, rank, required } from './shapes.js';

export interface TemperatureAttributes {
  /** What logits are divided by before the softmax; default 1. */
  readonly temperature?: number;
}

/**
 * Cross entropy with class labels: (logits `[N, C]`, labels int64 `[N]`) -> losses `[N]`, log probabilities
 * `[N, C]`. Without labels (null) column 0 of every row is right. dlogits = (softmax - one hot) dloss / temperature.
 */
export const SoftmaxCrossEntropy: CompositeOperator<TemperatureAttributes> = {
  domain: 'slimclr',
  infer([logits, labels]) {
    const z = rank(floating(required(logits, 'logits')), 2, 'logits');
    fixed(z.shape[1], 'the number of classes');
    if (labels) {
      const l = rank(labels, 1, 'labels');
      if (l.dtype !== 'int64') throw new Error(`labels are ${l.dtype}, int64 is accepted`);
    }
    return [{ dtype: z.dtype, shape: [z.shape[0]!] }, z];
  },
  gradient({
    b,
    inputs: [logits, labels],
    outputs: [, logProbabilities],
    gradients: [dLoss, dLog],
    attributes,
  }) {
    if (dLog) throw new Error('SoftmaxCrossEntropy: log probabilities are not a differentiable output');
    const target = labels ? oneHot(b, labels, logits!) : firstClass(b, logits!);
    return [softmaxError(b, logProbabilities!, target, dLoss!, attributes), null];
  },
  lower(b, [logits, labels], attributes) {
    const logProbabilities = logSoftmax(b, logits!, attributes);
    if (!labels) {
      const first = b.op('Slice', [logProbabilities], { starts: [0], ends: [1], axes: [1] });
      return [b.op('Neg', [b.reshape(first, [logits!.dims[0]!])]), logProbabilities];
    }
    const picked = b.op('Mul', [logProbabilities, oneHot(b, labels, logits!)]);
    return [b.op('Neg', [b.op('ReduceSum', [picked], { axes: [1], keepdims: false })]), logProbabilities];
  },
};

/** log softmax(logits / temperature) over the classes. */
export function logSoftmax(b: Builder, logits: Value, { temperature = 1 }: TemperatureAttributes): Value {
  return b.op('LogSoftmax', [
    temperature === 1 ? logits : b.op('Mul', [logits, b.scalarLike(1 / temperature, logits)]),
  ]);
}

/** (softmax - target) dloss / temperature: the gradient of a cross entropy `[N]` of logits `[N, C]`. */
export function softmaxError(
  b: Builder,
  logProbabilities: Value,
  target: Value,
  dLoss: Value,
  { temperature = 1 }: TemperatureAttributes,
): Value {
  // One factor a row: a scalar of its own for the temperature would be another pass over all logits.
  const factor = temperature === 1 ? dLoss : b.op('Mul', [dLoss, b.scalarLike(1 / temperature, dLoss)]);
  const error = b.op('Sub', [b.op('Exp', [logProbabilities]), target]);
  return b.op('Mul', [error, b.reshape(factor, [dLoss.dims[0]!, 1])]);
}

/** Labels int64 `[N]` -> 1 in the column of each row's label, else 0, like logits `[N, C]`. */
export function oneHot(b: Builder, labels: Value, logits: Value): Value {
  return b.op('Cast', [isLabel(b, labels, logits.dims[1]!)], { to: logits.dtype });
}

/** `[1, C]`. */
function firstClass(b: Builder, logits: Value): Value {
  const classes = logits.dims[1]!;
  const dtype = logits.dtype as FloatType;
  const isFirst = Array.from({ length: classes }, (_, i) => (i === 0 ? 1 : 0));
  return b.graph.constant(floatsOf(dtype, isFirst), [1, classes], dtype);
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
