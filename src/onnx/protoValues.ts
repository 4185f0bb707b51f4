import onnxProto, { type onnx } from 'onnx-proto';
import { SlimclrError } from '../errors.js';
import type { Initializer } from './model.js';
import {
  byteLength,
  elementCount,
  elementFormats,
  elementTypes,
  formatShape,
  valuesOf,
  type ElementType,
  type TensorType,
  type TypedArray,
} from './tensorType.js';

/*
 * What lies below a model, for readers of protobuf messages. Not in decode.ts, whose declarations are public: those of
 * onnx-proto need types that a package which uses this one does not have.
 */

const proto = onnxProto.onnx;
const { DataType } = proto.TensorProto;

/** The message as it is. Throws a SlimclrError for bytes that are none. */
export function parseProto(bytes: Uint8Array): onnx.IModelProto {
  try {
    return proto.ModelProto.decode(bytes);
  } catch (error) {
    // Whatever the parser trips over (an index, a wire type, a string), the bytes are to blame.
    const reason = error instanceof Error ? error.message : String(error);
    throw new SlimclrError(`not an ONNX model, or a truncated one: ${reason}`, { cause: error });
  }
}

/** A tensor of `elementTypes`, external data as where they are. Throws a SlimclrError for others. */
export function readInitializer(tensor: onnx.ITensorProto): Initializer {
  const name = tensor.name ?? '';
  const what = `initializer ${name}`;
  if (tensor.segment) throw new SlimclrError(`${what} is stored in segments, which is not supported`);
  const type: TensorType = {
    dtype: readElementType(tensor.dataType, what),
    shape: (tensor.dims ?? []).map((dim) => toNumber(dim, `dimension of ${what}`)),
  };
  if (type.shape.some((dim) => Number(dim) < 0)) {
    throw new SlimclrError(
      `${what} has the shape ${formatShape(type.shape)}; accepted: no negative dimension`,
    );
  }
  if (tensor.dataLocation === proto.TensorProto.DataLocation.EXTERNAL) {
    return { name, type, data: readExternal(tensor, type, what) };
  }
  const values = readValues(tensor, type.dtype);
  const expected = elementCount(type.shape);
  if (values?.length !== expected) {
    throw new SlimclrError(
      `${what} holds ${values?.length ?? 'a broken number of'} elements; its shape has ${expected}`,
    );
  }
  return { name, type, data: { kind: 'inline', values } };
}

function readExternal(tensor: onnx.ITensorProto, type: TensorType, what: string): Initializer['data'] {
  const entries = new Map((tensor.externalData ?? []).map((entry) => [entry.key, entry.value ?? '']));
  const location = entries.get('location');
  if (!location) throw new SlimclrError(`${what} is external but names no file`);
  if (/^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\p{Cc}/u.test(location)) {
    throw new SlimclrError(
      `${what} names the external file ${JSON.stringify(location)}; accepted: a path within the model's folder`,
    );
  }
  const offset = Number(entries.get('offset') ?? 0);
  const length = Number(entries.get('length') ?? byteLength(type));
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new SlimclrError(
      `${what} has the external offset '${entries.get('offset')}'; accepted: a byte position`,
    );
  }
  if (length !== byteLength(type)) {
    throw new SlimclrError(
      `${what} has ${entries.get('length')} external bytes; its type has ${byteLength(type)}`,
    );
  }
  return { kind: 'external', location, offset, length };
}

/** The elements, from raw data or from the typed field that onnx.proto prescribes; undefined if torn. */
function readValues(tensor: onnx.ITensorProto, dtype: ElementType): TypedArray | undefined {
  if (tensor.rawData?.length) {
    const { bytes } = elementFormats[dtype];
    return tensor.rawData.length % bytes === 0 ? valuesOf(dtype, tensor.rawData) : undefined;
  }
  switch (dtype) {
    case 'float32':
      return Float32Array.from(tensor.floatData ?? []);
    case 'float64':
      return Float64Array.from(tensor.doubleData ?? []);
    case 'float16':
      return Uint16Array.from(tensor.int32Data ?? []);
    case 'int64':
      return BigInt64Array.from((tensor.int64Data ?? []).map(toBigInt));
    case 'int32':
      return Int32Array.from(tensor.int32Data ?? []);
    case 'int8':
      return Int8Array.from(tensor.int32Data ?? []);
    case 'bool':
    case 'uint8':
      return Uint8Array.from(tensor.int32Data ?? []);
  }
}

const byCode = new Map(elementTypes.map((dtype) => [elementFormats[dtype].onnx, dtype]));

export function elementTypeOf(code: number | null | undefined): ElementType | undefined {
  return byCode.get(code ?? 0);
}

export function readElementType(code: number | null | undefined, what: string): ElementType {
  const dtype = elementTypeOf(code);
  if (dtype) return dtype;
  throw new SlimclrError(
    `${what} has element type ${DataType[code ?? 0] ?? code}; accepted: ${elementTypes.join(', ')}`,
  );
}

/** protobufjs returns a 64-bit integer as `Long`, which has no types of its own, and 0 for an absent one. */
export function toBigInt(value: unknown): bigint {
  if (typeof value === 'number') return BigInt(value);
  const { low, high } = value as { low: number; high: number };
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

export function toNumber(value: unknown, what: string): number {
  const number = Number(toBigInt(value ?? 0));
  if (Number.isSafeInteger(number)) return number;
  throw new SlimclrError(
    `${what} is ${toBigInt(value ?? 0)}, beyond the integers that are exact here (2^53)`,
  );
}
