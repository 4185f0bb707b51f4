import type { BatchNormalizationAttributes } from './batchNormalization.js';
import { meanPerChannel, scaleCentred, sumType } from './channels.js';
import type { CompositeOperator } from './operator.js';
import { countedElements, floating, rank, required, sameTypes } from './shapes.js';

/**
 * Batch norm with the statistics of the batch: (X `[N, C, H, W]`, gamma `[C]`, beta `[C]`, optional shift `[C]`) -> Y,
 * mean `[C]`, biased variance `[C]`. The result does not depend on the shift: a value near the mean, such as the
 * running mean, that a target may subtract before it sums squares in one pass. ONNX BatchNormalization with training_mode=1 is not used: onnxruntime#29790.
 * X of float16 goes with vectors of float32, in which sums are made too.
 */
export const BatchNormTrain: CompositeOperator<BatchNormalizationAttributes> = {
  domain: 'slimclr',
  infer([input, gamma, beta, shift]) {
    const x = rank(floating(required(input, 'X')), 4, 'X');
    for (const vector of [required(gamma, 'gamma'), required(beta, 'beta'), ...(shift ? [shift] : [])]) {
      if (vector.shape.length !== 1 || vector.shape[0] !== x.shape[1]) {
        throw new Error(`gamma, beta and shift must be [${x.shape[1]}], not [${vector.shape.join(',')}]`);
      }
      sameTypes({ ...x, dtype: sumType(x.dtype) }, vector);
    }
    if (x.shape.every((size, axis) => axis === 1 || size === 1)) {
      throw new Error(`X [${x.shape.join(',')}] has one value per channel, at least 2 are accepted`);
    }
    const statistics = { dtype: sumType(x.dtype), shape: [x.shape[1]!] };
    return [x, statistics, statistics];
  },
  gradient({
    b,
    inputs: [x, gamma],
    outputs: [, mean, variance],
    gradients: [dy, dMean, dVariance],
    attributes,
  }) {
    if (dMean || dVariance) throw new Error('BatchNormTrain: the statistics are not differentiable outputs');
    const [dx, dgamma, dbeta] = b.node('BatchNormTrainGrad', [dy!, x!, gamma!, mean!, variance!], attributes);
    return [dx!, dgamma!, dbeta!, null];
  },
  flops: ([x]) => 8 * countedElements(x!.shape),
  lower(b, [input, gamma, beta], { epsilon }) {
    const [, c] = input!.dims as [number, number];
    const x = b.cast(input!, sumType(input!.dtype));
    // Two passes, mean first: E[x^2] - mean^2 cancels where |mean| >> std.
    const mean = meanPerChannel(b, x);
    const centred = b.op('Sub', [x, b.reshape(mean, [1, c, 1, 1])]);
    const variance = meanPerChannel(b, b.op('Mul', [centred, centred]));
    const y = scaleCentred(b, centred, { scale: gamma!, bias: beta!, variance, epsilon });
    return [b.cast(y, input!.dtype), mean, variance];
  },
};
