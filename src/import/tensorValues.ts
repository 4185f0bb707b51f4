import { SlimclrError } from '../errors.js';
import { fromFloat16 } from '../onnx/float16.js';
import { elementCount } from '../onnx/model.js';
import type { TorchDtype, TorchTensor } from './torchPickle.js';

/** Bytes of an element. */
export const dtypeBytes: Readonly<Record<TorchDtype, number>> = {
  float32: 4,
  float64: 8,
  float16: 2,
  bfloat16: 2,
  int64: 8,
  int32: 4,
  int16: 2,
  int8: 1,
  uint8: 1,
  bool: 1,
};

/** What weights are read from. */
export const floatingTypes: readonly string[] = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
] satisfies TorchDtype[];

/**
 * Elements of a floating-point type as float32, `bytes` aligned as the type wants it; float64 is rounded. Throws a
 * SlimclrError for another type.
 */
export function floatsFrom(dtype: string, bytes: ArrayBuffer): Float32Array {
  switch (dtype) {
    case 'float32':
      return new Float32Array(bytes);
    case 'float64':
      return Float32Array.from(new Float64Array(bytes));
    case 'float16':
      return fromFloat16(new Uint16Array(bytes));
    case 'bfloat16':
      // The upper half of a float32.
      return new Float32Array(Uint32Array.from(new Uint16Array(bytes), (bits) => bits << 16).buffer);
    default:
      throw new SlimclrError(`a tensor of ${dtype}; accepted: ${floatingTypes.join(', ')}`);
  }
}

/** Row-major elements of a view of a storage. */
export function viewed(
  storage: Float32Array,
  { offset, shape, strides }: Pick<TorchTensor, 'offset' | 'shape' | 'strides'>,
): Float32Array {
  const count = elementCount(shape);
  const rowMajor = shape.map((_, axis) => elementCount(shape.slice(axis + 1)));
  if (shape.every((size, axis) => size === 1 || strides[axis] === rowMajor[axis])) {
    return storage.slice(offset, offset + count);
  }
  const values = new Float32Array(count);
  const inner = shape.at(-1)!;
  const step = strides.at(-1)!;
  for (let row = 0; row < count; row += inner) {
    let from = offset;
    for (let axis = 0; axis < shape.length - 1; axis++) {
      from += (Math.floor(row / rowMajor[axis]!) % shape[axis]!) * strides[axis]!;
    }
    for (let i = 0; i < inner; i++) values[row + i] = storage[from + i * step]!;
  }
  return values;
}
