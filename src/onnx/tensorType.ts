import { SlimclrError } from '../errors.js';
import { toFloat16 } from './float16.js';

/** Element types this package reads and writes. */
export type ElementType = 'float32' | 'float64' | 'float16' | 'int64' | 'int32' | 'bool' | 'uint8' | 'int8';

/** A string is a symbolic dimension; the empty string one that is unknown and has no name. */
export type Dimension = number | string;

export interface TensorType {
  readonly dtype: ElementType;
  readonly shape: readonly Dimension[];
}

/** Elements of a tensor in row-major order. `bool` is a Uint8Array of 0 and 1, `float16` the bits (float16.ts). */
export type TypedArray =
  Float32Array | Float64Array | Uint16Array | BigInt64Array | Int32Array | Uint8Array | Int8Array;

interface ElementFormat {
  /** `TensorProto.DataType` of onnx.proto. */
  readonly onnx: number;
  readonly safetensors: string;
  readonly bytes: number;
  readonly array: new (buffer: ArrayBuffer) => TypedArray;
}

/** How each element type is written in the file formats. */
export const elementFormats: Readonly<Record<ElementType, ElementFormat>> = {
  float32: { onnx: 1, safetensors: 'F32', bytes: 4, array: Float32Array },
  float64: { onnx: 11, safetensors: 'F64', bytes: 8, array: Float64Array },
  float16: { onnx: 10, safetensors: 'F16', bytes: 2, array: Uint16Array },
  int64: { onnx: 7, safetensors: 'I64', bytes: 8, array: BigInt64Array },
  int32: { onnx: 6, safetensors: 'I32', bytes: 4, array: Int32Array },
  bool: { onnx: 9, safetensors: 'BOOL', bytes: 1, array: Uint8Array },
  uint8: { onnx: 2, safetensors: 'U8', bytes: 1, array: Uint8Array },
  int8: { onnx: 3, safetensors: 'I8', bytes: 1, array: Int8Array },
};

export const elementTypes = Object.keys(elementFormats) as readonly ElementType[];

/** The types of floating-point numbers. */
export type FloatType = 'float32' | 'float64' | 'float16';

export function isFloating(dtype: ElementType): dtype is FloatType {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'float16';
}

/** Numbers as elements of a floating-point type, rounded to the nearest. */
export function floatsOf(dtype: FloatType, values: ArrayLike<number>): TypedArray {
  switch (dtype) {
    case 'float32':
      return Float32Array.from(values);
    case 'float64':
      return Float64Array.from(values);
    case 'float16':
      return toFloat16(values);
  }
}

/** `TensorProto.DataType` of an element type, which attributes such as `to` of `Cast` hold. */
export function elementTypeCode(dtype: ElementType): number {
  return elementFormats[dtype].onnx;
}

/** Number of elements; 1 for a scalar. Throws on a symbolic dimension. */
export function elementCount(shape: readonly Dimension[]): number {
  let count = 1;
  for (const dimension of shape) {
    if (typeof dimension === 'string') {
      throw new SlimclrError(
        `shape ${formatShape(shape)} has no fixed size: dimension '${dimension}' is symbolic`,
      );
    }
    count *= dimension;
  }
  return count;
}

/** Size in bytes of a tensor stored without gaps. Throws on a symbolic dimension. */
export function byteLength(type: TensorType): number {
  return elementCount(type.shape) * elementFormats[type.dtype].bytes;
}

/** `[batch,3,32,32]`; a dimension without a name is `?`, a name that is no identifier is quoted. */
export function formatShape(shape: readonly Dimension[]): string {
  const dimensions = shape.map((dimension) => {
    if (dimension === '') return '?';
    if (typeof dimension === 'number' || /^[A-Za-z_][\w.]*$/.test(dimension)) return dimension;
    return JSON.stringify(dimension);
  });
  return `[${dimensions.join(',')}]`;
}

/** `float32[64,3,32,32]`. */
export function formatType(type: TensorType): string {
  return `${type.dtype}${formatShape(type.shape)}`;
}

/**
 * The bytes of a typed array, not copied. ONNX and safetensors store little-endian, and so does every
 * machine that ONNX Runtime is built for.
 */
export function bytesOf(values: TypedArray): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** Inverse of `bytesOf`; copies, because the bytes of a file need not be aligned. */
export function valuesOf(dtype: ElementType, bytes: Uint8Array): TypedArray {
  return new elementFormats[dtype].array(new Uint8Array(bytes).buffer);
}
