import { Graph, type Default, type Node, type Value } from './graph.js';

/** What a rewriting changes; everything else is copied. */
export interface Rewriter {
  /** Values of the copy that stand for a node's outputs, or null to copy the node. */
  replace(node: Node, copy: Copy): readonly Value[] | null;
  /** What stands in the copy for an input without a default, or null to copy it. */
  input?(input: Value, graph: Graph): Value | null;
  /** The default of an input in the copy. */
  fallback?(input: Value, fallback: Default): Default;
}

/** A copy under construction. */
export interface Copy {
  readonly graph: Graph;
  /** The value that stands for one of the original. */
  of(value: Value): Value;
}

/**
 * Copies a graph node by node, in order. An input with a default is copied when something reads it; those
 * without are the graph's signature and are all there.
 */
export function rewrite(original: Graph, rewriter: Rewriter): Graph {
  const graph = new Graph(original.name);
  const image = new Map<Value, Value>();
  const copied = (value: Value): Value => {
    const constant = original.constants.get(value);
    if (constant) return graph.constant(constant, value.dims, value.dtype);
    const fallback = original.defaults.get(value);
    return graph.input(
      value.name,
      value.type,
      fallback && (rewriter.fallback?.(value, fallback) ?? fallback),
    );
  };
  const of = (value: Value): Value => {
    let known = image.get(value);
    if (!known) image.set(value, (known = copied(value)));
    return known;
  };
  for (const input of original.inputs) {
    if (original.defaults.has(input)) continue;
    image.set(input, rewriter.input?.(input, graph) ?? copied(input));
  }
  for (const node of original.nodes) {
    const outputs =
      rewriter.replace(node, { graph, of }) ??
      graph.copy(
        node,
        node.inputs.map((input) => input && of(input)),
      );
    for (const [i, output] of node.outputs.entries()) image.set(output, outputs[i]!);
  }
  for (const [name, value] of original.outputs) graph.output(name, of(value));
  return graph;
}
