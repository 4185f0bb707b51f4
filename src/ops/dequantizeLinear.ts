import { notDifferentiable, type StandardOperator } from './operator.js';
import { alongAxis, emitAxis, oneOf, type QuantizationAttributes } from './quantizeLinear.js';
import { required } from './shapes.js';

/**
 * ONNX DequantizeLinear: x of uint8, int8 or int32, scale and zero point, 0 where it is absent -> (x - zero point) scale
 * in float32. One scale, or one an index of `axis`.
 */
export const DequantizeLinear: StandardOperator<QuantizationAttributes> = {
  domain: '',
  infer([input, scale, zeroPoint], attributes) {
    const x = required(input, 'x');
    oneOf(x.dtype, ['uint8', 'int8', 'int32'], 'x');
    if (zeroPoint) oneOf(zeroPoint.dtype, [x.dtype], 'the zero point');
    alongAxis(x, required(scale, 'scale'), zeroPoint ?? null, attributes);
    return [{ dtype: 'float32', shape: x.shape }];
  },
  gradient: notDifferentiable,
  emit: emitAxis,
};
