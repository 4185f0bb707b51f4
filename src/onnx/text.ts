import { SlimclrError } from '../errors.js';
import { fromFloat16 } from './float16.js';
import { sha256 } from './hash.js';
import {
  bytesOf,
  elementCount,
  formatType,
  isFloating,
  type AttributeValue,
  type Initializer,
  type OnnxModel,
  type OnnxNode,
  type TensorType,
  type TypedArray,
} from './model.js';

/**
 * The canonical text form of a model: what it computes, one line an item, without its weights.
 *
 *     graph query.w0.25
 *     opset ai.onnx 17
 *     input %images: float32[64,3,32,32]
 *     input %conv1.weight: float32[16,3,3,3] = default
 *     output %loss: float32[]
 *     constant %table: int64[100] = sha256:0123456789abcdef
 *     %conv1: float32[64,16,32,32] = Conv(%images, %conv1.weight) {pads=[1,1,1,1], strides=[1,1]}
 *
 * Small constants stand in the argument list (`[1,-1]:int64`, `0.5:float32`), an absent input is `_`,
 * floats have a point or an exponent, names that are no identifiers are quoted. Not in the text: producer, metadata,
 * names of nodes, the order of constants, and the values of initializers that are graph inputs. Equal
 * texts therefore mean equal computations from equal inputs.
 */
export interface ModelDescription {
  readonly graph: string;
  readonly opsets: readonly DescribedItem[];
  readonly inputs: readonly DescribedItem[];
  readonly outputs: readonly DescribedItem[];
  /** Sorted by name. */
  readonly constants: readonly DescribedItem[];
  readonly nodes: readonly DescribedNode[];
}

/** An operator set and its version, or a value (`%name`) and its type with what follows it in the line. */
export interface DescribedItem {
  readonly name: string;
  readonly description: string;
}

export interface DescribedNode {
  /** Type is undefined where the model does not state it. */
  readonly outputs: readonly { readonly name: string; readonly type: string | undefined }[];
  /** With its domain, unless that is the standard one. */
  readonly operator: string;
  /** `%name`, a literal, or `_`. */
  readonly inputs: readonly string[];
  /** Sorted by name; values as in the text. */
  readonly attributes: ReadonlyMap<string, string>;
}

/** Constants up to this many elements are written out. */
const literalElements = 16;
const absent = '_';
/** The name under which the text form shows the standard operator set, whose domain is the empty string. */
export const standardDomain = 'ai.onnx';

/** The canonical text of a model. */
export function modelText(model: OnnxModel): string {
  return formatDescription(describeModel(model));
}

/** Identifies a text: SHA-256 in hexadecimal. */
export function textHash(text: string): string {
  return sha256(text);
}

export function describeModel(model: OnnxModel): ModelDescription {
  const defaults = new Set(model.initializers.map(({ name }) => name));
  const inputs = new Set(model.inputs.map(({ name }) => name));
  const outputs = new Set(model.outputs.map(({ name }) => name));
  const types = new Map(
    [...model.values, ...model.outputs].map(({ name, type }) => [name, formatType(type)]),
  );

  const literals = new Map<string, string>();
  const constants: DescribedItem[] = [];
  for (const initializer of model.initializers) {
    const { name, type } = initializer;
    if (inputs.has(name)) continue;
    const literal = outputs.has(name) ? undefined : formatLiteral(initializer);
    if (literal === undefined) {
      constants.push({
        name: reference(name),
        description: `${formatType(type)} = ${contentOf(initializer)}`,
      });
    } else {
      literals.set(name, literal);
    }
  }

  const describeInput = (name: string) => literals.get(name) ?? reference(name);
  return {
    graph: quoteUnlessPlain(model.graphName),
    opsets: sorted(
      Object.entries(model.opsets).map(([domain, version]) => ({
        name: domain || standardDomain,
        description: String(version),
      })),
    ),
    inputs: model.inputs.map(({ name, type }) => ({
      name: reference(name),
      description: formatType(type) + (defaults.has(name) ? ' = default' : ''),
    })),
    outputs: model.outputs.map(({ name, type }) => ({
      name: reference(name),
      description: formatType(type),
    })),
    constants: sorted(constants),
    nodes: model.nodes.map((node) => describeNode(node, types, describeInput)),
  };
}

function describeNode(
  node: OnnxNode,
  types: ReadonlyMap<string, string>,
  describeInput: (name: string) => string,
): DescribedNode {
  const attributes = Object.entries(node.attributes).map(([name, value]) => ({
    name,
    value: formatAttribute(value),
  }));
  return {
    outputs: node.outputs.map((name) => ({ name: reference(name), type: types.get(name) })),
    operator: node.domain === '' ? node.opType : `${node.domain}.${node.opType}`,
    inputs: node.inputs.map(describeInput),
    attributes: new Map(sorted(attributes).map(({ name, value }) => [name, value])),
  };
}

export function formatDescription(description: ModelDescription): string {
  const { graph, opsets, inputs, outputs, constants, nodes } = description;
  const values = (kind: string, items: readonly DescribedItem[]) =>
    items.map((item) => `${kind} ${item.name}: ${item.description}`);
  const lines = [
    `graph ${graph}`,
    ...opsets.map(({ name, description }) => `opset ${name} ${description}`),
    ...values('input', inputs),
    ...values('output', outputs),
    ...values('constant', constants),
    ...nodes.map(formatNode),
  ];
  return `${lines.join('\n')}\n`;
}

export function formatNode({ outputs, operator, inputs, attributes }: DescribedNode): string {
  const results = outputs.map(({ name, type }) => (type === undefined ? name : `${name}: ${type}`));
  const options = [...attributes].map(([name, value]) => `${name}=${value}`);
  const call = `${results.join(', ')} = ${operator}(${inputs.join(', ')})`;
  return options.length === 0 ? call : `${call} {${options.join(', ')}}`;
}

// The text between separators: quoted strings, in which separators do not count, and other characters.
const chunk = String.raw`(?:"(?:[^"\\]|\\.)*"|[^"])`;
const valueName = String.raw`%(?:"(?:[^"\\]|\\.)*"|[^":\s]+)`;
const linePatterns = {
  graph: /^graph (.*)$/,
  opset: /^opset (\S+) (\d+)$/,
  value: new RegExp(`^(input|output|constant) (${valueName}): (.+)$`),
  node: new RegExp(String.raw`^(${chunk}*?) = ([^\s("]+)\((${chunk}*?)\)(?: \{(${chunk}*)\})?$`),
  result: new RegExp(`^(${absent}|${valueName})(?:: (.+))?$`),
  item: new RegExp(`(?:"(?:[^"\\\\]|\\\\.)*"|[^",]|,(?! ))+`, 'g'),
} as const;

/** Inverse of `formatDescription`. Throws a SlimclrError that names the first line it does not understand. */
export function parseText(text: string): ModelDescription {
  let graph: string | undefined;
  const items = { opset: [], input: [], output: [], constant: [] } as Record<string, DescribedItem[]>;
  const nodes: DescribedNode[] = [];
  for (const [index, line] of text.trimEnd().split('\n').entries()) {
    let match: RegExpMatchArray | null;
    if (graph === undefined) {
      graph = linePatterns.graph.exec(line)?.[1];
      if (graph === undefined) throw notUnderstood(index, line);
    } else if ((match = linePatterns.opset.exec(line))) {
      items.opset!.push({ name: match[1]!, description: match[2]! });
    } else if ((match = linePatterns.value.exec(line))) {
      items[match[1]!]!.push({ name: match[2]!, description: match[3]! });
    } else {
      const node = parseNode(line);
      if (!node) throw notUnderstood(index, line);
      nodes.push(node);
    }
  }
  return {
    graph: graph ?? '',
    opsets: items.opset!,
    inputs: items.input!,
    outputs: items.output!,
    constants: items.constant!,
    nodes,
  };
}

function notUnderstood(index: number, line: string): SlimclrError {
  return new SlimclrError(`line ${index + 1} is not of the text form of a model: ${line.slice(0, 80)}`);
}

function parseNode(line: string): DescribedNode | undefined {
  const match = linePatterns.node.exec(line);
  if (!match) return undefined;
  const results = splitItems(match[1]!).map((item) => linePatterns.result.exec(item));
  if (!results.every((result) => result !== null)) return undefined;
  return {
    outputs: results.map((result) => ({ name: result[1]!, type: result[2] })),
    operator: match[2]!,
    inputs: splitItems(match[3]!),
    attributes: new Map(
      splitItems(match[4] ?? '').map((item) => {
        const equals = item.indexOf('=');
        return [item.slice(0, equals), item.slice(equals + 1)];
      }),
    ),
  };
}

/** Splits at `, ` outside of quoted strings; lists and shapes are written without spaces. */
function splitItems(text: string): string[] {
  return (text.match(linePatterns.item) ?? []).map((item) => item.trimStart());
}

/** `%name`; `_` for an absent value. */
export function reference(name: string): string {
  return name === '' ? absent : `%${quoteUnlessPlain(name)}`;
}

export function quoteUnlessPlain(name: string): string {
  return /^[\w./-]+$/.test(name) ? name : JSON.stringify(name);
}

export function formatAttribute(value: AttributeValue): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return JSON.stringify(value);
  if ('float' in value) return formatFloat(value.float);
  if ('floats' in value) return `[${value.floats.map(formatFloat).join(',')}]`;
  return `[${value.join(',')}]`;
}

/** `[[1,2],[3,4]]:int64` for a small tensor of integers and for a single element; undefined for others. */
export function formatLiteral({ type, data }: Initializer): string | undefined {
  if (data.kind === 'external') return undefined;
  const count = elementCount(type.shape);
  const isFloat = isFloating(type.dtype);
  // The brackets of an empty tensor do not tell its shape, unless it has one dimension.
  const isWritable = count === 0 ? type.shape.length === 1 : count <= (isFloat ? 1 : literalElements);
  if (!isWritable) return undefined;
  let items = elementsOf(type, data.values);
  for (const dimension of [...type.shape].reverse()) {
    const length = Number(dimension);
    const rows = Math.max(1, items.length / Math.max(1, length));
    items = Array.from(
      { length: rows },
      (_, row) => `[${items.slice(row * length, (row + 1) * length).join(',')}]`,
    );
  }
  return `${items.join('')}:${type.dtype}`;
}

function elementsOf({ dtype }: TensorType, values: TypedArray): string[] {
  const elements: (number | bigint)[] = [...values];
  switch (dtype) {
    case 'bool':
      return elements.map((element) => String(Boolean(element)));
    case 'float32':
      return elements.map((element) => formatFloat(Number(element)));
    case 'float64':
      return elements.map((element) => withPoint(Number(element)));
    case 'float16':
      return [...fromFloat16(elements as number[])].map(withPoint);
    default:
      return elements.map(String);
  }
}

/** The shortest decimal that gives the same float32, so that 0.1 reads `0.1` before and after a file. */
export function formatFloat(value: number): string {
  const single = Math.fround(value);
  for (let digits = 1; digits < 9; digits++) {
    const short = Number(single.toPrecision(digits));
    if (Math.fround(short) === single) return withPoint(short);
  }
  return withPoint(Number(single.toPrecision(9)));
}

function withPoint(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function contentOf({ data }: Initializer): string {
  return data.kind === 'external' ? 'external' : `sha256:${sha256(bytesOf(data.values)).slice(0, 16)}`;
}

function sorted<T extends { readonly name: string }>(items: readonly T[]): T[] {
  return [...items].sort((a, b) => (a.name < b.name ? -1 : 1));
}
