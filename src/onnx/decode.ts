import onnxProto, { type onnx } from 'onnx-proto';
import { SlimclrError } from '../errors.js';
import type { AttributeValue, Initializer, NamedType, OnnxModel, OnnxNode } from './model.js';
import {
  byteLength,
  elementCount,
  elementFormats,
  elementTypes,
  formatShape,
  valuesOf,
  type Dimension,
  type ElementType,
  type TensorType,
  type TypedArray,
} from './tensorType.js';

const proto = onnxProto.onnx;
const { AttributeType } = proto.AttributeProto;
const { DataType } = proto.TensorProto;

/**
 * Reads a model, also one that another program wrote: tensors as raw or as typed data, intermediate
 * values without a type or with one that `ElementType` lacks (they are left out of `values`). Doc
 * strings, the model's own domain and version are not kept.
 *
 * Throws a SlimclrError, prefixed with `source`, for bytes that are no ONNX model and for what an
 * OnnxModel cannot hold: subgraphs, functions, tensor attributes, sparse tensors, sequences, other
 * element types.
 */
export function decodeModel(bytes: Uint8Array, source = 'ONNX model'): OnnxModel {
  try {
    return readModel(parse(bytes));
  } catch (error) {
    if (error instanceof SlimclrError)
      throw new SlimclrError(`${source}: ${error.message}`, { cause: error });
    throw error;
  }
}

function parse(bytes: Uint8Array): onnx.IModelProto {
  try {
    return proto.ModelProto.decode(bytes);
  } catch (error) {
    // Whatever the parser trips over (an index, a wire type, a string), the bytes are to blame.
    const reason = error instanceof Error ? error.message : String(error);
    throw new SlimclrError(`not an ONNX model, or a truncated one: ${reason}`, { cause: error });
  }
}

function readModel(model: onnx.IModelProto): OnnxModel {
  const { graph } = model;
  const opsetImport = model.opsetImport ?? [];
  if (!graph || opsetImport.length === 0) {
    throw new SlimclrError(`not an ONNX model: it has no ${graph ? 'operator set' : 'graph'}`);
  }
  if (model.functions?.length) throw new SlimclrError('model-local functions are not supported');
  if (model.trainingInfo?.length) throw new SlimclrError('training information is not supported');
  if (graph.sparseInitializer?.length) throw new SlimclrError('sparse initializers are not supported');
  if (graph.quantizationAnnotation?.length)
    throw new SlimclrError('quantization annotations are not supported');

  return {
    graphName: graph.name ?? '',
    opsets: Object.fromEntries(
      opsetImport.map((o) => [o.domain ?? '', toNumber(o.version, 'opset version')]),
    ),
    irVersion: toNumber(model.irVersion, 'IR version'),
    producer: model.producerName ?? '',
    producerVersion: model.producerVersion ?? '',
    metadata: Object.fromEntries((model.metadataProps ?? []).map((m) => [m.key ?? '', m.value ?? ''])),
    inputs: (graph.input ?? []).map((value) => readValue(value, 'graph input')),
    outputs: (graph.output ?? []).map((value) => readValue(value, 'graph output')),
    values: (graph.valueInfo ?? []).filter(isDescribed).map((value) => readValue(value, 'value')),
    initializers: (graph.initializer ?? []).map(readInitializer),
    nodes: (graph.node ?? []).map(readNode),
  };
}

/** Whether an intermediate value has a type that `NamedType` can hold; its absence changes nothing. */
function isDescribed({ type }: onnx.IValueInfoProto): boolean {
  return Boolean(type?.tensorType?.shape) && elementTypeOf(type?.tensorType?.elemType) !== undefined;
}

function readValue(value: onnx.IValueInfoProto, role: string): NamedType {
  const name = value.name ?? '';
  const tensor = value.type?.tensorType;
  if (!tensor) throw new SlimclrError(`${role} ${name} is not a tensor; only tensors are supported`);
  if (!tensor.shape)
    throw new SlimclrError(`${role} ${name} has no shape; run shape inference on the model first`);
  const shape = (tensor.shape.dim ?? []).map((dim): Dimension => {
    // A oneof: protobufjs sets only the member that is in the file as an own property.
    if (Object.hasOwn(dim, 'dimValue')) return toNumber(dim.dimValue, `dimension of ${name}`);
    return dim.dimParam ?? '';
  });
  return { name, type: { dtype: readElementType(tensor.elemType, `${role} ${name}`), shape } };
}

function readNode(node: onnx.INodeProto): OnnxNode {
  const name = node.name ?? '';
  const opType = node.opType ?? '';
  const where = `node ${name || (node.output?.[0] ?? '')} (${opType})`;
  return {
    name,
    opType,
    domain: node.domain ?? '',
    inputs: node.input ?? [],
    outputs: node.output ?? [],
    attributes: Object.fromEntries(
      (node.attribute ?? []).map((a) => [a.name ?? '', readAttribute(a, where)]),
    ),
  };
}

function readAttribute(attribute: onnx.IAttributeProto, where: string): AttributeValue {
  const what = `attribute ${attribute.name ?? ''} of ${where}`;
  switch (attribute.type) {
    case AttributeType.INT:
      return toNumber(attribute.i, what);
    case AttributeType.INTS:
      return (attribute.ints ?? []).map((i) => toNumber(i, what));
    case AttributeType.FLOAT:
      return { float: attribute.f ?? 0 };
    case AttributeType.FLOATS:
      return { floats: attribute.floats ?? [] };
    case AttributeType.STRING:
      return Buffer.from(attribute.s ?? []).toString('utf8');
    default: {
      const kind = AttributeType[attribute.type ?? 0] ?? attribute.type;
      throw new SlimclrError(`${what} is of kind ${kind}; accepted: INT, INTS, FLOAT, FLOATS, STRING`);
    }
  }
}

function readInitializer(tensor: onnx.ITensorProto): Initializer {
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

function elementTypeOf(code: number | null | undefined): ElementType | undefined {
  return byCode.get(code ?? 0);
}

function readElementType(code: number | null | undefined, what: string): ElementType {
  const dtype = elementTypeOf(code);
  if (dtype) return dtype;
  throw new SlimclrError(
    `${what} has element type ${DataType[code ?? 0] ?? code}; accepted: ${elementTypes.join(', ')}`,
  );
}

/** protobufjs returns a 64-bit integer as `Long`, which has no types of its own, and 0 for an absent one. */
function toBigInt(value: unknown): bigint {
  if (typeof value === 'number') return BigInt(value);
  const { low, high } = value as { low: number; high: number };
  return (BigInt(high) << 32n) | BigInt(low >>> 0);
}

function toNumber(value: unknown, what: string): number {
  const number = Number(toBigInt(value ?? 0));
  if (Number.isSafeInteger(number)) return number;
  throw new SlimclrError(
    `${what} is ${toBigInt(value ?? 0)}, beyond the integers that are exact here (2^53)`,
  );
}
