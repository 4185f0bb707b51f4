import { elementCount } from '../onnx/model.js';
import { sumType } from './channels.js';
import type { MaxPoolAttributes } from './maxPool.js';
import { notDifferentiable, type CompositeOperator } from './operator.js';
import { required, sameTypes } from './shapes.js';

/**
 * Gradient of MaxPool: (dY, X, Y, Indices) -> dX. Each output's gradient goes to the first maximum of its
 * window, summed where windows overlap. A target may use X and Y, or Indices.
 */
export const MaxPoolGrad: CompositeOperator<MaxPoolAttributes> = {
  domain: 'slimclr',
  infer([dy, x]) {
    sameTypes(required(dy, 'dY'), required(x, 'X'));
    return [required(x, 'X')];
  },
  gradient: notDifferentiable,
  lower(b, [dy, x, , indices]) {
    const size = elementCount(x!.shape);
    // ONNX Runtime's CPU kernel does not add float16, and windows that overlap are summed.
    const terms = b.cast(dy!, sumType(dy!.dtype));
    const zeros = b.op('Expand', [b.reshape(b.scalarLike(0, terms), [1])], { shape: [size] });
    const count = elementCount(dy!.shape);
    const dx = b.op('ScatterElements', [zeros, b.reshape(indices!, [count]), b.reshape(terms, [count])]);
    return [b.cast(b.reshape(dx, x!.dims), x!.dtype)];
  },
};
