import type { Value } from '../../graph/graph.js';
import type { MaxPoolAttributes } from '../../ops/maxPool.js';
import type { Lowering, NoAttributes } from '../../ops/operator.js';
import { SoftmaxCrossEntropy, type TemperatureAttributes } from '../../ops/softmaxCrossEntropy.js';
import { training } from './operators.js';

/** ReluGrad: dY where Y > 0, else 0. */
export const reluGrad: Lowering<NoAttributes> = (b, inputs) => training(b, 'ReluGrad', inputs);

/** MaxPoolGrad from the indices of MaxPool, those of the first of equal maxima. It stands in ONNX's own domain. */
export const maxPoolGrad: Lowering<MaxPoolAttributes> = (b, [dy, , , indices], attributes, types) => {
  const { kernelShape, strides, pads } = attributes;
  return b.graph.add('MaxPoolGrad', '', [dy!, indices!], types, { kernel_shape: kernelShape, strides, pads })
    .outputs;
};

/** SoftmaxCrossEntropy of labels; without them the portable lowering reads one column. */
export const softmaxCrossEntropy: Lowering<TemperatureAttributes> = (b, inputs, attributes, types) => {
  const [logits, labels] = inputs as [Value, Value | null];
  if (!labels) return SoftmaxCrossEntropy.lower(b, inputs, attributes, types);
  const { temperature = 1 } = attributes;
  const scaled = temperature === 1 ? logits : b.op('Mul', [logits, b.scalarLike(1 / temperature, logits)]);
  return training(b, 'SoftmaxCrossEntropyLossInternal', [scaled, labels], { reduction: 'none' });
};

/** SoftmaxCrossEntropyLossGrad, of the mean over the batch. */
export const softmaxCrossEntropyLossGrad: Lowering<NoAttributes> = (b, inputs) =>
  training(b, 'SoftmaxCrossEntropyLossGrad', inputs, { reduction: 'mean' });
