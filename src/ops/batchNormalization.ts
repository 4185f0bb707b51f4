import type { Value } from '../graph/graph.js';
import { channelSum, scaleCentred } from './channels.js';
import type { StandardOperator } from './operator.js';
import { required, sameTypes } from './shapes.js';

export interface BatchNormalizationAttributes {
  readonly epsilon: number;
}

/**
 * ONNX BatchNormalization in inference mode: X `[N, C, ...]` with scale, bias, mean, variance `[C]`. Training
 * mode is `BatchNormTrain`. Through frozen statistics maps `[N, C, H, W]` are differentiated: they are constants, and
 * with r = 1 / sqrt(variance + epsilon) dX = dY scale r, dscale = r sum(dY (X - mean)), dbias = sum(dY).
 */
export const BatchNormalization: StandardOperator<BatchNormalizationAttributes> = {
  domain: '',
  infer([input, ...vectors]) {
    const x = required(input, 'X');
    for (const [i, name] of ['scale', 'bias', 'mean', 'variance'].entries()) {
      const v = required(vectors[i], name);
      if (v.shape.length !== 1 || v.shape[0] !== x.shape[1]) {
        throw new Error(`${name} is [${v.shape.join(',')}], [${x.shape[1]}] is accepted`);
      }
      sameTypes(x, v);
    }
    return [x];
  },
  gradient({ b, inputs, gradients: [dy], needs, attributes: { epsilon } }) {
    if (needs[3] || needs[4]) throw new Error('BatchNormalization: its statistics are constants');
    const [x, scale, , mean, variance] = inputs as Value[];
    const scaleGradient = (): Value => {
      const std = b.op('Sqrt', [b.op('Add', [variance!, b.scalarLike(epsilon, variance!)])]);
      const centred = b.op('Sub', [x!, b.reshape(mean!, [1, mean!.dims[0]!, 1, 1])]);
      return b.op('Mul', [channelSum(b, b.op('Mul', [dy!, centred])), b.op('Reciprocal', [std])]);
    };
    return [
      needs[0] ? scaleCentred(b, dy!, { scale: scale!, variance: variance!, epsilon }) : null,
      needs[1] ? scaleGradient() : null,
      needs[2] ? channelSum(b, dy!) : null,
      null,
      null,
    ];
  },
  emit: ({ epsilon }) => ({ attributes: { epsilon: { float: epsilon } } }),
};
