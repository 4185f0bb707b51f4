import onnxProto, { type onnx } from 'onnx-proto';
import { SlimclrError } from '../errors.js';
import type { AttributeValue, NamedType, OnnxModel, OnnxNode } from './model.js';
import { elementTypeOf, parseProto, readElementType, readInitializer, toNumber } from './protoValues.js';
import type { Dimension } from './tensorType.js';

const { AttributeType } = onnxProto.onnx.AttributeProto;

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
    return readModel(parseProto(bytes));
  } catch (error) {
    if (error instanceof SlimclrError)
      throw new SlimclrError(`${source}: ${error.message}`, { cause: error });
    throw error;
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
