import onnxProto, { type onnx } from 'onnx-proto';
import { SlimclrError } from '../errors.js';
import { sha256 } from './hash.js';
import { elementTypeOf, parseProto, readInitializer, toBigInt } from './protoValues.js';
import {
  formatDescription,
  formatFloat,
  formatLiteral,
  quoteUnlessPlain,
  reference,
  standardDomain,
  type DescribedItem,
  type DescribedNode,
} from './text.js';
import { formatShape, isFloating, type Dimension } from './tensorType.js';

const proto = onnxProto.onnx;
const { AttributeType } = proto.AttributeProto;
const { DataType, DataLocation } = proto.TensorProto;

/** An input or output of a model. */
export interface Port {
  readonly name: string;
  /** Of a tensor, as `ElementType` or ONNX calls it, e.g. `float32`, `bfloat16`; of anything else its kind, e.g. `sequence`. */
  readonly dtype: string;
  /** Null where the model does not state it. */
  readonly shape: readonly Dimension[] | null;
}

/** How a model of whatever origin is built: all but its weights. */
export interface ModelStructure {
  /**
   * The text form (text.ts) in which weights stand with their types only: tensors of floating-point numbers of more
   * than one element, and whatever quantised operators read. Nodes of subgraphs and of functions follow the node or the
   * graph that has them, under names with its name before. Constants are in the order of their use.
   */
  readonly text: string;
  /** Nodes, those of subgraphs and functions counted. */
  readonly nodes: number;
  /** Elements of the weights, in the sense of `text`. */
  readonly parameters: number;
  readonly irVersion: number;
  /** Operator sets by domain; the empty string is the standard one. */
  readonly opsets: Readonly<Record<string, number>>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Without initializers. */
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** The least precise arithmetic that the weights are stored for. */
  readonly precision: 'float32' | 'float16' | 'int8';
}

/**
 * Of the bytes of a model that any program wrote: subgraphs, functions, tensors as attributes, types that an `OnnxModel`
 * does not hold. Throws a SlimclrError, prefixed with `source`, for bytes that are no ONNX model.
 */
export function structureOf(bytes: Uint8Array, source = 'ONNX model'): ModelStructure {
  try {
    return new Structure(parseProto(bytes)).result();
  } catch (error) {
    if (!(error instanceof SlimclrError)) throw error;
    throw new SlimclrError(`${source}: ${error.message}`, { cause: error });
  }
}

/** Operators on quantised numbers, whose scales and zero points are weights as well. */
const quantized =
  /^(Quantize|Dequantize|DynamicQuantize|QLinear|QGemm|QAttention|ConvInteger|MatMulInteger|MatMulNBits)/;

/** Attributes whose text is longer stand as a hash. */
const longestAttribute = 200;

/** Names of a graph in those around it. */
type Scope = (name: string) => string;

class Structure {
  readonly #nodes: DescribedNode[] = [];
  /** By reference. */
  readonly #constants = new Map<string, string>();
  readonly #literals = new Map<string, string>();
  readonly #dtypes = new Set<string>();
  readonly #operators = new Set<string>();
  #parameters = 0;

  constructor(private readonly model: onnx.IModelProto) {}

  result(): ModelStructure {
    const { model } = this;
    const { graph, opsetImport = [] } = model;
    if (!graph || !opsetImport?.length) {
      throw new SlimclrError(`not an ONNX model: it has no ${graph ? 'operator set' : 'graph'}`);
    }
    const opsets = Object.fromEntries(
      opsetImport.map(({ domain, version }) => [domain ?? '', Number(toBigInt(version ?? 0))]),
    );
    this.#addGraph(graph, (name) => name);
    for (const f of model.functions ?? []) {
      const prefix = `${f.domain ?? ''}::${f.name ?? ''}/`;
      this.#addNodes(f.node ?? [], (name) => `${prefix}${name}`, new Map(), new Set());
    }
    const initializers = new Set((graph.initializer ?? []).map(({ name }) => name ?? ''));
    const ports = (values: readonly onnx.IValueInfoProto[] | null | undefined) => (values ?? []).map(portOf);
    const inputs = ports(graph.input).filter(({ name }) => !initializers.has(name));
    const values = (items: readonly onnx.IValueInfoProto[] | null | undefined): DescribedItem[] =>
      (items ?? []).map((value) => ({
        name: reference(value.name ?? ''),
        description: typeText(value.type) + (initializers.has(value.name ?? '') ? ' = default' : ''),
      }));
    const text = formatDescription({
      graph: quoteUnlessPlain(graph.name ?? ''),
      opsets: Object.entries(opsets)
        .map(([domain, version]) => ({ name: domain || standardDomain, description: String(version) }))
        .sort((a, b) => (a.name < b.name ? -1 : 1)),
      inputs: values(graph.input),
      outputs: values(graph.output),
      constants: this.#constantsByUse(),
      nodes: this.#nodes,
    });
    return {
      text,
      nodes: this.#nodes.length,
      parameters: this.#parameters,
      irVersion: Number(toBigInt(model.irVersion ?? 0)),
      opsets,
      metadata: Object.fromEntries(
        (model.metadataProps ?? []).map(({ key, value }) => [key ?? '', value ?? '']),
      ),
      inputs,
      outputs: ports(graph.output),
      precision: [...this.#operators].some((name) => quantized.test(name))
        ? 'int8'
        : this.#dtypes.has('float16') || this.#dtypes.has('bfloat16')
          ? 'float16'
          : 'float32',
    };
  }

  #constantsByUse(): DescribedItem[] {
    const used = new Set(this.#nodes.flatMap(({ inputs }) => inputs));
    const names = [...[...used].filter((name) => this.#constants.has(name)), ...this.#constants.keys()];
    return [...new Set(names)].map((name) => ({ name, description: this.#constants.get(name)! }));
  }

  #addGraph(graph: onnx.IGraphProto, scope: Scope): void {
    const nodes = graph.node ?? [];
    const ofQuantized = new Set(
      nodes.filter(({ opType }) => quantized.test(opType ?? '')).flatMap(({ input }) => input ?? []),
    );
    const inputs = new Set((graph.input ?? []).map(({ name }) => name ?? ''));
    const outputs = new Set((graph.output ?? []).map(({ name }) => name ?? ''));
    const sparse = (graph.sparseInitializer ?? []).flatMap(({ values }) => (values ? [values] : []));
    for (const tensor of [...(graph.initializer ?? []), ...sparse]) {
      const name = tensor.name ?? '';
      const { type, content, literal } = this.#describeTensor(tensor, ofQuantized.has(name));
      if (inputs.has(name)) continue;
      const place = reference(scope(name));
      if (literal !== undefined && !outputs.has(name)) this.#literals.set(place, literal);
      else this.#constants.set(place, content === undefined ? type : `${type} = ${content}`);
    }
    const types = new Map(
      [...(graph.valueInfo ?? []), ...(graph.output ?? [])].map(({ name, type }) => [
        name ?? '',
        typeText(type),
      ]),
    );
    this.#addNodes(nodes, scope, types, ofQuantized);
  }

  #addNodes(
    nodes: readonly onnx.INodeProto[],
    scope: Scope,
    types: ReadonlyMap<string, string>,
    ofQuantized: ReadonlySet<string>,
  ): void {
    for (const node of nodes) {
      const { opType, domain, input, output, attribute } = node;
      const operator = domain && domain !== standardDomain ? `${domain}.${opType ?? ''}` : (opType ?? '');
      this.#operators.add(opType ?? '');
      const outputs = (output ?? []).map((name) => ({
        name: name === '' ? reference('') : reference(scope(name)),
        type: types.get(name) ?? undefined,
      }));
      const inputs = (input ?? []).map((name) => {
        if (name === '') return reference('');
        const place = reference(scope(name));
        return this.#literals.get(place) ?? place;
      });
      const owner = node.name || output?.[0] || (opType ?? '');
      const isWeight = (output ?? []).some((name) => ofQuantized.has(name));
      const nested: [prefix: string, graph: onnx.IGraphProto][] = [];
      const attributes = [...(attribute ?? [])]
        .sort((a, b) => ((a.name ?? '') < (b.name ?? '') ? -1 : 1))
        .map((a): [string, string] => {
          const graphs = [...(a.g ? [a.g] : []), ...(a.graphs ?? [])];
          graphs.forEach((g, i) => nested.push([`${owner}.${a.name ?? ''}${i === 0 ? '' : `.${i}`}/`, g]));
          const text = this.#attributeText(a, isWeight);
          const short = text.length > longestAttribute ? `sha256:${sha256(text).slice(0, 16)}` : text;
          return [a.name ?? '', short];
        });
      this.#nodes.push({ outputs, operator, inputs, attributes: new Map(attributes) });
      for (const [prefix, graph] of nested) this.#addGraph(graph, innerScope(graph, prefix, scope));
    }
  }

  #attributeText(a: onnx.IAttributeProto, isWeight: boolean): string {
    const list = (texts: readonly string[]) => `[${texts.join(',')}]`;
    const string = (bytes: Uint8Array | null | undefined) =>
      JSON.stringify(Buffer.from(bytes ?? []).toString());
    const tensor = (t: onnx.ITensorProto) => {
      const { type, content, literal } = this.#describeTensor(t, isWeight);
      return literal ?? JSON.stringify(content === undefined ? type : `${type} = ${content}`);
    };
    switch (a.type) {
      case AttributeType.INT:
        return String(toBigInt(a.i ?? 0));
      case AttributeType.INTS:
        return list((a.ints ?? []).map((i) => String(toBigInt(i))));
      case AttributeType.FLOAT:
        return formatFloat(a.f ?? 0);
      case AttributeType.FLOATS:
        return list((a.floats ?? []).map(formatFloat));
      case AttributeType.STRING:
        return string(a.s);
      case AttributeType.STRINGS:
        return list((a.strings ?? []).map(string));
      case AttributeType.TENSOR:
        return tensor(a.t ?? {});
      case AttributeType.TENSORS:
        return list((a.tensors ?? []).map(tensor));
      case AttributeType.GRAPH:
        return graphText(a.g ?? {});
      case AttributeType.GRAPHS:
        return list((a.graphs ?? []).map(graphText));
      default:
        // An attribute of a function's call, or of a kind that is rare: its bytes.
        return a.refAttrName
          ? JSON.stringify(`attribute ${a.refAttrName}`)
          : `sha256:${sha256(proto.AttributeProto.encode(a).finish()).slice(0, 16)}`;
    }
  }

  /** `literal` for small constants, `content` for others; neither for weights. */
  #describeTensor(
    tensor: onnx.ITensorProto,
    isWeight: boolean,
  ): { readonly type: string; readonly content?: string; readonly literal?: string } {
    const shape = (tensor.dims ?? []).map((dim) => Number(toBigInt(dim)));
    const count = shape.reduce((a, b) => a * b, 1);
    const dtype = dtypeText(tensor.dataType);
    const type = `${dtype}${formatShape(shape)}`;
    if (isWeight || (/float/.test(dtype) && count > 1)) {
      this.#dtypes.add(dtype);
      this.#parameters += count;
      return { type };
    }
    const isExternal = tensor.dataLocation === DataLocation.EXTERNAL;
    if (isExternal) return { type, content: 'external' };
    const known = elementTypeOf(tensor.dataType);
    if (known && (count <= 16 || isFloating(known))) {
      const literal = formatLiteral(readInitializer(tensor));
      if (literal !== undefined) return { type, literal };
    }
    const bytes = proto.TensorProto.encode({ ...tensor, name: '', docString: '' }).finish();
    return { type, content: `sha256:${sha256(bytes).slice(0, 16)}` };
  }
}

/** What a subgraph defines gets the prefix; the rest is of the graphs around it. */
function innerScope(graph: onnx.IGraphProto, prefix: string, outer: Scope): Scope {
  const own = new Set([
    ...(graph.input ?? []).map(({ name }) => name ?? ''),
    ...(graph.initializer ?? []).map(({ name }) => name ?? ''),
    ...(graph.node ?? []).flatMap(({ output }) => output ?? []),
  ]);
  return (name) => (own.has(name) ? `${prefix}${name}` : outer(name));
}

function graphText({ input, output, node }: onnx.IGraphProto): string {
  const names = (values: readonly onnx.IValueInfoProto[] | null | undefined) =>
    (values ?? []).map(({ name, type }) => `${name ?? ''}: ${typeText(type)}`).join('; ');
  return JSON.stringify(`graph (${names(input)}) -> (${names(output)}), nodes: ${(node ?? []).length}`);
}

function portOf({ name, type }: onnx.IValueInfoProto): Port {
  const tensor = type?.tensorType;
  if (!tensor) return { name: name ?? '', dtype: typeText(type), shape: null };
  return {
    name: name ?? '',
    dtype: dtypeText(tensor.elemType),
    shape: tensor.shape ? dimensionsOf(tensor.shape) : null,
  };
}

function typeText(type: onnx.ITypeProto | null | undefined): string {
  const { tensorType, sequenceType, optionalType, mapType, sparseTensorType } = type ?? {};
  const tensor = tensorType ?? sparseTensorType;
  if (tensor) {
    const shape = tensor.shape ? formatShape(dimensionsOf(tensor.shape)) : '';
    return `${sparseTensorType ? 'sparse ' : ''}${dtypeText(tensor.elemType)}${shape}`;
  }
  if (sequenceType) return `sequence(${typeText(sequenceType.elemType)})`;
  if (optionalType) return `optional(${typeText(optionalType.elemType)})`;
  if (mapType) return `map(${dtypeText(mapType.keyType)},${typeText(mapType.valueType)})`;
  return 'unknown';
}

function dimensionsOf({ dim }: onnx.ITensorShapeProto): Dimension[] {
  // A oneof: protobufjs sets only the member that is in the file as an own property.
  return (dim ?? []).map((d) =>
    Object.hasOwn(d, 'dimValue') ? Number(toBigInt(d.dimValue)) : (d.dimParam ?? ''),
  );
}

function dtypeText(code: number | null | undefined): string {
  return elementTypeOf(code) ?? (DataType[code ?? 0] ?? `type${code ?? 0}`).toLowerCase();
}
