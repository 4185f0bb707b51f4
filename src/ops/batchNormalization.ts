import { notDifferentiable, type StandardOperator } from './operator.js';
import { required, sameTypes } from './shapes.js';

export interface BatchNormalizationAttributes {
  readonly epsilon: number;
}

/**
 * ONNX BatchNormalization in inference mode: X `[N, C, ...]` with scale, bias, mean, variance `[C]`. Training
 * mode is `BatchNormTrain`; encoders are never trained through frozen statistics here.
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
  gradient: notDifferentiable,
  emit: ({ epsilon }) => ({ attributes: { epsilon: { float: epsilon } } }),
};
