import { SlimclrError } from '../errors.js';
import { Graph, type Node, type Value } from '../graph/graph.js';
import { floatsOf } from '../onnx/model.js';
import { operatorOf } from '../ops/index.js';
import type { OpName } from '../ops/operator.js';
import { Autocast } from '../precision/autocast.js';

/** Largest float16. */
const largest = 65504;

/** Operators that compute in float16, and whose weights are stored so. */
const products = new Set(['Conv', 'Gemm', 'MatMul']);

/**
 * An inference graph with bound weights in float16: what autocast computes in it, convolutions, matrix products and
 * what follows them, with weights stored in float16; the average over a map is float32, and so are inputs and outputs.
 * Throws a SlimclrError for a weight beyond float16.
 */
export function float16Graph(original: Graph): Graph {
  const graph = new Graph(original.name);
  const b = new Autocast(graph);
  const image = new Map<Value, Value>();
  const of = (value: Value, reader: Node | null): Value => {
    let known = image.get(value);
    if (!known) image.set(value, (known = placed(original, graph, value, reader)));
    return known;
  };
  for (const input of original.inputs) if (!original.defaults.has(input)) of(input, null);
  for (const node of original.nodes) {
    const inputs = node.inputs.map((input) => input && of(input, node));
    const outputs = operatorOf(node)
      ? b.scope(scopeOf(node), () => b.node(node.op as OpName, inputs, node.attributes as never))
      : graph.copy(node, inputs);
    for (const [i, output] of node.outputs.entries()) image.set(output, outputs[i]!);
  }
  for (const [name, value] of original.outputs) graph.output(name, b.cast(of(value, null), value.dtype));
  return graph;
}

/** What a node was added in: the part of its name before its operator. */
function scopeOf({ name }: Node): string {
  return name.slice(0, Math.max(0, name.lastIndexOf('/')));
}

/** A value that no node computes, in the new graph: what a product reads first is its weight, in float16. */
function placed(original: Graph, graph: Graph, value: Value, reader: Node | null): Value {
  const { name, type } = value;
  const constant = original.constants.get(value);
  if (constant) return graph.constant(constant, value.dims, value.dtype);
  const fallback = original.defaults.get(value);
  if (fallback?.kind !== 'inline' || !products.has(reader?.op ?? '')) {
    return graph.input(name, type, fallback);
  }
  const weights = fallback.values as Float32Array;
  const beyond = weights.find((weight) => !(Math.abs(weight) <= largest));
  if (beyond !== undefined) {
    throw new SlimclrError(
      `${name} has the weight ${beyond}, which is no float16; ` +
        `accepted: magnitudes up to ${largest}, or another precision`,
    );
  }
  const values = floatsOf('float16', weights);
  return graph.input(name, { ...type, dtype: 'float16' }, { kind: 'inline', values });
}
