import onnxProto, { type onnx } from 'onnx-proto';
import { SlimclrError } from '../errors.js';
import { bytesOf, elementFormats, type TensorType, type TypedArray } from './tensorType.js';

export * from './opsets.js';
export * from './tensorType.js';
export { decodeModel } from './decode.js';

/** A number is an int, an array of numbers are ints; floats are wrapped and hold float32 values. */
export type AttributeValue =
  number | string | readonly number[] | { readonly float: number } | { readonly floats: readonly number[] };

export interface OnnxNode {
  readonly name: string;
  readonly opType: string;
  /** The empty string is the standard operator set. */
  readonly domain: string;
  /** Names of values; the empty string stands for an absent optional input. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, AttributeValue>>;
}

export interface Initializer {
  readonly name: string;
  readonly type: TensorType;
  readonly data:
    | { readonly kind: 'inline'; readonly values: TypedArray }
    | {
        readonly kind: 'external';
        /** Path of the file, relative to the folder of the model. */
        readonly location: string;
        /** In bytes from the start of that file. */
        readonly offset: number;
        readonly length: number;
      };
}

export interface NamedType {
  readonly name: string;
  readonly type: TensorType;
  /** Whether it is a sequence of tensors of this dtype, of any shapes; for inputs of optimizers. */
  readonly sequence?: boolean;
}

/** An ONNX model of one flat graph, as plain data. */
export interface OnnxModel {
  readonly graphName: string;
  /** Version of each operator set by its domain. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly irVersion: number;
  readonly producer: string;
  readonly producerVersion: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** One that is also an initializer has a default (an overridable initializer). */
  readonly inputs: readonly NamedType[];
  readonly outputs: readonly NamedType[];
  /** Types of intermediate values, as far as they are known. */
  readonly values: readonly NamedType[];
  readonly initializers: readonly Initializer[];
  /** In topological order. */
  readonly nodes: readonly OnnxNode[];
}

const proto = onnxProto.onnx;
const { AttributeType } = proto.AttributeProto;

/**
 * The model in protobuf form. Attributes, metadata and opsets are written in the order of their names,
 * everything else in the order given, so that the same model always gives the same bytes.
 */
export function encodeModel(model: OnnxModel): Uint8Array {
  const bytes = proto.ModelProto.encode({
    irVersion: model.irVersion,
    producerName: model.producer,
    producerVersion: model.producerVersion,
    opsetImport: sortedEntries(model.opsets).map(([domain, version]) => ({ domain, version })),
    metadataProps: sortedEntries(model.metadata).map(([key, value]) => ({ key, value })),
    graph: {
      name: model.graphName,
      input: model.inputs.map(encodeValue),
      output: model.outputs.map(encodeValue),
      valueInfo: model.values.map(encodeValue),
      initializer: model.initializers.map(encodeInitializer),
      node: model.nodes.map(encodeNode),
    },
  }).finish();
  // protobufjs hands out a Buffer; the plain view compares and serialises like any other byte array.
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function encodeValue({ name, type, sequence }: NamedType): onnx.IValueInfoProto {
  const { onnx: elemType } = elementFormats[type.dtype];
  if (sequence) return { name, type: { sequenceType: { elemType: { tensorType: { elemType } } } } };
  const dim = type.shape.map((dimension) => {
    if (typeof dimension === 'number') return { dimValue: dimension };
    return dimension === '' ? {} : { dimParam: dimension };
  });
  return { name, type: { tensorType: { elemType, shape: { dim } } } };
}

function encodeNode(node: OnnxNode): onnx.INodeProto {
  return {
    name: node.name,
    opType: node.opType,
    domain: node.domain,
    input: [...node.inputs],
    output: [...node.outputs],
    attribute: sortedEntries(node.attributes).map(([name, value]) => encodeAttribute(node, name, value)),
  };
}

function encodeAttribute(node: OnnxNode, name: string, value: AttributeValue): onnx.IAttributeProto {
  const integer = (n: number): number => {
    if (Number.isSafeInteger(n)) return n;
    throw new SlimclrError(
      `attribute ${name} of node ${node.name}: ${n} is not an integer; floats are written { float } or { floats }`,
    );
  };
  if (typeof value === 'number') return { name, type: AttributeType.INT, i: integer(value) };
  if (typeof value === 'string') return { name, type: AttributeType.STRING, s: Buffer.from(value, 'utf8') };
  if ('float' in value) return { name, type: AttributeType.FLOAT, f: value.float };
  if ('floats' in value) return { name, type: AttributeType.FLOATS, floats: [...value.floats] };
  return { name, type: AttributeType.INTS, ints: value.map(integer) };
}

function encodeInitializer({ name, type, data }: Initializer): onnx.ITensorProto {
  const tensor = {
    name,
    dims: type.shape.map((d) => fixed(name, d)),
    dataType: elementFormats[type.dtype].onnx,
  };
  if (data.kind === 'inline') {
    const { bytes, array } = elementFormats[type.dtype];
    const expected = tensor.dims.reduce((count, d) => count * d, 1);
    if (!(data.values instanceof array) || data.values.length !== expected) {
      throw new SlimclrError(
        `initializer ${name}: ${data.values.constructor.name} of ${data.values.length} elements given, ` +
          `${array.name} of ${expected} (${expected * bytes} bytes) expected`,
      );
    }
    return { ...tensor, rawData: bytesOf(data.values) };
  }
  return {
    ...tensor,
    dataLocation: proto.TensorProto.DataLocation.EXTERNAL,
    externalData: [
      { key: 'location', value: data.location },
      { key: 'offset', value: String(data.offset) },
      { key: 'length', value: String(data.length) },
    ],
  };
}

function fixed(name: string, dimension: number | string): number {
  if (typeof dimension === 'number') return dimension;
  throw new SlimclrError(
    `initializer ${name}: dimension '${dimension}' is symbolic; initializers have fixed shapes`,
  );
}

/** Entries by name, in the order of UTF-16 code units: the same on every machine. */
function sortedEntries<T>(record: Readonly<Record<string, T>>): [string, T][] {
  return Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
}
