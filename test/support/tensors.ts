import { elementCount, elementFormats, type ElementType } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';

/** A tensor of plain numbers. */
export function tensorOf(
  dtype: ElementType,
  values: ArrayLike<number>,
  shape: readonly number[] = [values.length],
): TensorData {
  const { bytes, array } = elementFormats[dtype];
  const data = new array(new ArrayBuffer(bytes * elementCount(shape)));
  for (let i = 0; i < data.length; i++)
    data[i] = data instanceof BigInt64Array ? BigInt(values[i]!) : values[i]!;
  return { dtype, shape, data };
}

/** Plain numbers of a tensor. */
export function numbers({ data }: TensorData): number[] {
  return Array.from(data as ArrayLike<number | bigint>, Number);
}
