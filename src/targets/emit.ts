import type { Graph, Node, Value } from '../graph/graph.js';
import {
  formatType,
  irVersionFor,
  type Initializer,
  type OnnxModel,
  type OnnxNode,
  type TensorType,
  type TypedArray,
} from '../onnx/model.js';
import { operatorOf } from '../ops/index.js';
import type { ConstantInput } from '../ops/operator.js';
import { unreadOutputs } from './ortTraining/operators.js';

export interface EmitOptions {
  readonly opset: number;
  /** Version of this package, recorded as the producer's. */
  readonly version: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** The shared weights file that defaults of kind `weights` point into. */
  readonly weights?: {
    readonly location: string;
    /** Where a tensor lies in the file, in bytes. */
    find(tensor: string): { readonly offset: number; readonly length: number };
  };
}

/** Turns a lowered graph into an ONNX model: attributes that ONNX takes as inputs become initializers. */
export function emit(graph: Graph, options: EmitOptions): OnnxModel {
  const names = outputNames(graph);
  const nameOf = (value: Value): string => names.get(value) ?? value.name;
  const initializers = new Map<string, Initializer>();
  const read = new Set<Value>(graph.nodes.flatMap((node) => node.inputs.filter((input) => input !== null)));
  for (const value of graph.outputs.values()) read.add(value);
  const domains = new Set(['']);

  const initializer = (name: string, type: TensorType, values: TypedArray): string => {
    if (!initializers.has(name)) initializers.set(name, { name, type, data: { kind: 'inline', values } });
    return name;
  };
  const reference = (value: Value): string => {
    const values = graph.constants.get(value);
    return values ? initializer(value.name, value.type, values) : nameOf(value);
  };
  // Axes, shapes and the like are short: named by their content, equal ones are one initializer.
  const attached = ({ dtype, shape, values }: ConstantInput): string =>
    initializer(`${formatType({ dtype, shape })}(${values.join(',')})`, { dtype, shape }, values);

  const nodes: OnnxNode[] = [];
  const intermediates: Value[] = [];
  for (const node of graph.nodes) {
    const operator = operatorOf(node);
    if (operator?.domain === 'slimclr' && node.domain === 'slimclr') {
      throw new Error(
        `${graph.name}: ${node.name} is a composite operator, lower the graph before emitting it`,
      );
    }
    const emission =
      operator?.domain === '' && node.domain === ''
        ? (operator.emit?.(node.attributes, options.opset, node.inputs.length) ?? {})
        : { attributes: node.attributes as OnnxNode['attributes'] };
    domains.add(node.domain);
    const inputs = [
      ...node.inputs.map((input) => (input ? reference(input) : '')),
      ...(emission.constants ?? []).map((constant) => (constant ? attached(constant) : '')),
    ];
    const outputs = namedOutputs(node, read);
    intermediates.push(...outputs.flatMap((output) => (output && !names.has(output) ? [output] : [])));
    nodes.push({
      name: node.name,
      opType: node.op,
      domain: node.domain,
      inputs: withoutTrailing(inputs),
      outputs: outputs.map((output) => (output ? nameOf(output) : '')),
      attributes: emission.attributes ?? {},
    });
  }

  // A graph output that is not the output of a node of its own name needs a node that makes it one.
  for (const [name, value] of graph.outputs) {
    if (names.get(value) === name) continue;
    nodes.push({
      name: `output/${name}`,
      opType: 'Identity',
      domain: '',
      inputs: [reference(value)],
      outputs: [name],
      attributes: {},
    });
  }

  for (const [input, fallback] of graph.defaults) {
    initializers.set(input.name, {
      name: input.name,
      type: input.type,
      data:
        fallback.kind === 'inline'
          ? { kind: 'inline', values: fallback.values }
          : {
              kind: 'external',
              location: weightsOf(options).location,
              ...weightsOf(options).find(fallback.tensor),
            },
    });
  }
  return {
    graphName: graph.name,
    opsets: Object.fromEntries(
      [...domains].sort().map((domain) => [domain, domain === '' ? options.opset : 1]),
    ),
    irVersion: irVersionFor(options.opset),
    producer: 'slimclr',
    producerVersion: options.version,
    metadata: options.metadata ?? {},
    inputs: graph.inputs.map(({ name, type }) => ({ name, type })),
    outputs: [...graph.outputs].map(([name, { type }]) => ({ name, type })),
    values: intermediates.map(({ name, type }) => ({ name, type })),
    initializers: [...initializers.values()],
    nodes,
  };
}

/** The outputs of a node that its ONNX node names, null for one that is absent. */
function namedOutputs(node: Node, read: ReadonlySet<Value>): readonly (Value | null)[] {
  const unread = unreadOutputs(node);
  if (unread === 'named') return node.outputs;
  // An unread output before a read one keeps its name: ONNX does not allow it to be absent unless optional.
  const outputs = node.outputs.slice(0, node.outputs.findLastIndex((output) => read.has(output)) + 1);
  return unread === 'absent' ? outputs.map((output) => (read.has(output) ? output : null)) : outputs;
}

/** Values computed by a node are renamed to the (first) output they are. */
function outputNames(graph: Graph): Map<Value, string> {
  const names = new Map<Value, string>();
  for (const [name, value] of graph.outputs) {
    if (value.producer && !names.has(value)) names.set(value, name);
  }
  return names;
}

function withoutTrailing(names: string[]): string[] {
  const end = names.findLastIndex((name) => name !== '') + 1;
  return names.slice(0, end);
}

function weightsOf(options: EmitOptions): NonNullable<EmitOptions['weights']> {
  if (!options.weights) throw new Error('the graph has defaults in a weights file, but none was given');
  return options.weights;
}
