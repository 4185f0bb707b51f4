import { notDifferentiable, type ConstantInput, type StandardOperator } from './operator.js';
import { rank, required, floating } from './shapes.js';

export interface ClipAttributes {
  readonly min?: number;
  readonly max?: number;
}

/** ONNX Clip of float32. */
export const Clip: StandardOperator<ClipAttributes> = {
  domain: '',
  infer([x]) {
    const type = floating(required(x, 'input'));
    if (type.dtype !== 'float32') throw new Error(`dtype ${type.dtype} is not accepted, float32 is`);
    return [rank(type, type.shape.length, 'input')];
  },
  gradient: notDifferentiable,
  emit: ({ min, max }) => ({ constants: [bound(min), bound(max)] }),
};

function bound(value: number | undefined): ConstantInput | null {
  return value === undefined ? null : { dtype: 'float32', shape: [], values: Float32Array.of(value) };
}
