import type { BatchNormalizationAttributes } from './batchNormalization.js';
import { channelSum, scaleCentred, sumType } from './channels.js';
import { notDifferentiable, type CompositeOperator } from './operator.js';
import { countedElements, required, sameTypes } from './shapes.js';

/**
 * Gradient of BatchNormTrain: (dY, X, gamma, mean, variance) -> dX, dgamma, dbeta.
 *
 * With M = N H W, r = 1 / sqrt(variance + epsilon), x^ = (X - mean) r:
 *   dbeta = sum(dY), dgamma = sum(dY x^), dX = gamma r (dY - (dbeta + x^ dgamma) / M).
 */
export const BatchNormTrainGrad: CompositeOperator<BatchNormalizationAttributes> = {
  domain: 'slimclr',
  infer([dy, x, gamma]) {
    const vector = required(gamma, 'gamma');
    const input = required(x, 'X');
    sameTypes(required(dy, 'dY'), input);
    return [input, vector, vector];
  },
  gradient: notDifferentiable,
  flops: ([, x]) => 10 * countedElements(x!.shape),
  lower(b, [gradient, input, gamma, mean, variance], { epsilon }) {
    const [dy, x] = [gradient, input].map((value) => b.cast(value!, sumType(value!.dtype)));
    const [n, c, h, w] = x!.dims as [number, number, number, number];
    const column = [1, c, 1, 1];
    const std = b.op('Sqrt', [b.op('Add', [variance!, b.scalarLike(epsilon, variance!)])]);
    const r = b.op('Reciprocal', [std]);
    const centred = b.op('Sub', [x!, b.reshape(mean!, column)]);
    const dbeta = channelSum(b, dy!);
    const product = channelSum(b, b.op('Mul', [dy!, centred]));
    const dgamma = b.op('Mul', [product, r]);
    const share = b.scalarLike(-1 / (n * h * w), dbeta);
    // -(dbeta + x^ dgamma) / M
    const correction = scaleCentred(b, centred, {
      scale: b.op('Mul', [dgamma, share]),
      bias: b.op('Mul', [dbeta, share]),
      variance: variance!,
      epsilon,
    });
    const scale = b.reshape(b.op('Mul', [gamma!, r]), column);
    const dx = b.op('Mul', [b.op('Add', [dy!, correction]), scale]);
    return [b.cast(dx, input!.dtype), dgamma, dbeta];
  },
};
