import { Graph, type Value } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';
import { verify } from '../ops/verify.js';
import { lowerNode } from './lowerNode.js';
import { noPlaces, type LoweringRules, type ParameterPlaces, type Target } from './target.js';

/**
 * Rewrites a graph for a target: composite operators by the target's rule or else the portable one. Returns a
 * new graph, pruned and verified; inputs, outputs and the names of nodes that stay are the same.
 */
export function lower(graph: Graph, target: Target, places: ParameterPlaces = noPlaces): Graph {
  return target.rewrite ? target.rewrite(graph, places) : lowerByRules(graph, target.name, target.rules);
}

/**
 * Node by node: by the rules, composite operators without one by their portable lowering. `read` is given what stands
 * for a value whenever that is read, and may put another in its place.
 */
export function lowerByRules(
  graph: Graph,
  target: string,
  rules: LoweringRules = {},
  read: (b: Builder, value: Value) => Value = (_, value) => value,
): Graph {
  const lowered = new Graph(graph.name);
  const b = new Builder(lowered);
  const image = new Map<Value, Value>();
  const mapped = (value: Value): Value => {
    let known = image.get(value);
    if (!known) {
      const constant = graph.constants.get(value);
      if (!constant) throw new Error(`${graph.name}: ${value.name} is read before it is defined`);
      known = lowered.constant(constant, value.dims, value.dtype);
      image.set(value, known);
    }
    return read(b, known);
  };

  for (const input of graph.inputs) {
    image.set(input, lowered.input(input.name, input.type, graph.defaults.get(input)));
  }
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => input && mapped(input));
    for (const [i, value] of lowerNode(b, node, inputs, target, rules).entries()) {
      if (value) image.set(node.outputs[i]!, value);
    }
  }
  for (const [name, value] of graph.outputs) lowered.output(name, mapped(value));
  lowered.prune();
  verify(lowered);
  return lowered;
}
