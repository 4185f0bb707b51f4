import type { ElementType, TensorType } from '../graph/graph.js';
import { notDifferentiable, type StandardOperator } from './operator.js';
import { normalAxis, required } from './shapes.js';

export interface QuantizationAttributes {
  /** Axis that the scales are along; only with a vector of scales. */
  readonly axis?: number;
}

/**
 * ONNX QuantizeLinear: x, scale and zero point -> round(x / scale) + zero point, ties to even, within the zero point's
 * type, uint8 or int8. One scale, or one an index of `axis`.
 */
export const QuantizeLinear: StandardOperator<QuantizationAttributes> = {
  domain: '',
  infer([input, scale, zeroPoint], attributes) {
    const x = required(input, 'x');
    const zero = required(zeroPoint, 'zero point');
    if (x.dtype !== 'float32') throw new Error(`x is ${x.dtype}, float32 is accepted`);
    oneOf(zero.dtype, ['uint8', 'int8'], 'the zero point');
    alongAxis(x, required(scale, 'scale'), zero, attributes);
    return [{ dtype: zero.dtype, shape: x.shape }];
  },
  gradient: notDifferentiable,
  emit: emitAxis,
};

/** Scales and zero points are scalars, or vectors of the length of the axis. */
export function alongAxis(
  x: TensorType,
  scale: TensorType,
  zeroPoint: TensorType | null,
  { axis }: QuantizationAttributes,
): void {
  if (scale.dtype !== 'float32') throw new Error(`the scale is ${scale.dtype}, float32 is accepted`);
  const accepted = axis === undefined ? [] : [x.shape[normalAxis(axis, x.shape.length)]!];
  for (const { shape } of zeroPoint ? [scale, zeroPoint] : [scale]) {
    if (shape.join() === accepted.join()) continue;
    throw new Error(`scale or zero point is [${shape.join(',')}], [${accepted.join(',')}] is accepted`);
  }
}

export function oneOf(dtype: ElementType, accepted: readonly ElementType[], what: string): void {
  if (!accepted.includes(dtype)) throw new Error(`${what} is ${dtype}, ${accepted.join(' or ')} is accepted`);
}

export function emitAxis({ axis }: QuantizationAttributes) {
  return { attributes: axis === undefined ? {} : { axis } };
}
