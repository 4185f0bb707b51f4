import { Graph, sameType, type Value } from '../graph/graph.js';
import { formatType } from '../onnx/model.js';
import { Builder } from '../ops/builder.js';
import { operatorOf } from '../ops/index.js';
import type { Lowering, OpName } from '../ops/operator.js';
import { verify } from '../ops/verify.js';
import { noPlaces, type ParameterPlaces, type Target } from './target.js';

/**
 * Rewrites a graph for a target: composite operators by the target's rule or else the portable one. Returns a
 * new graph, pruned and verified; inputs, outputs and the names of nodes that stay are the same.
 */
export function lower(graph: Graph, target: Target, places: ParameterPlaces = noPlaces): Graph {
  return target.rewrite ? target.rewrite(graph, places) : lowerByRules(graph, target);
}

function lowerByRules(graph: Graph, target: Target): Graph {
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
    return known;
  };

  for (const input of graph.inputs) {
    image.set(input, lowered.input(input.name, input.type, graph.defaults.get(input)));
  }
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => input && mapped(input));
    const operator = operatorOf(node);
    const rule =
      (target.rules[node.op as OpName] as Lowering<object> | undefined) ??
      (operator?.domain === 'slimclr' ? operator.lower : undefined);
    const types = node.outputs.map((output) => output.type);
    const outputs = rule
      ? lowered.scope(node.name, () => rule(b, inputs as Value[], node.attributes, types))
      : lowered.copy(node, inputs);
    for (const [i, output] of node.outputs.entries()) {
      const value = outputs[i];
      if (!value) continue;
      if (!sameType(value.type, output.type)) {
        throw new Error(
          `${target.name}: ${node.name} output ${i} is lowered to ${formatType(value.type)}, ` +
            `not ${formatType(output.type)}`,
        );
      }
      image.set(output, value);
    }
  }
  for (const [name, value] of graph.outputs) lowered.output(name, mapped(value));
  lowered.prune();
  verify(lowered);
  return lowered;
}
