import { elementCount } from '../onnx/model.js';
import type { MaxPoolAttributes } from './maxPool.js';
import { notDifferentiable, type CompositeOperator } from './operator.js';
import { required } from './shapes.js';

/**
 * Gradient of MaxPool: (dY, X, Y, Indices) -> dX. Each output's gradient goes to the first maximum of its
 * window, summed where windows overlap. A target may use X and Y, or Indices.
 */
export const MaxPoolGrad: CompositeOperator<MaxPoolAttributes> = {
  domain: 'slimclr',
  infer: ([, x]) => [required(x, 'X')],
  gradient: notDifferentiable,
  lower(b, [dy, x, , indices]) {
    const size = elementCount(x!.shape);
    const zeros = b.op('Expand', [b.reshape(b.scalarLike(0, dy!), [1])], { shape: [size] });
    const count = elementCount(dy!.shape);
    const dx = b.op('ScatterElements', [zeros, b.reshape(indices!, [count]), b.reshape(dy!, [count])]);
    return [b.reshape(dx, x!.dims)];
  },
};
