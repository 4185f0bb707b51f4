import type { ElementArrays, ElementType } from './engine.js';

interface Element<T extends ElementType> {
  /** `ONNXTensorElementDataType`, which is `TensorProto.DataType`. */
  readonly code: number;
  readonly bytes: number;
  readonly array: new (buffer: ArrayBufferLike, byteOffset?: number, length?: number) => ElementArrays[T];
}

/** How each element type of an engine lies in memory. */
export const elements: { readonly [T in ElementType]: Element<T> } = {
  float32: { code: 1, bytes: 4, array: Float32Array },
  uint8: { code: 2, bytes: 1, array: Uint8Array },
  int64: { code: 7, bytes: 8, array: BigInt64Array },
  bool: { code: 9, bytes: 1, array: Uint8Array },
  float16: { code: 10, bytes: 2, array: Uint16Array },
  float64: { code: 11, bytes: 8, array: Float64Array },
};
