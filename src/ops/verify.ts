import { sameType, type Graph, type Node, type TensorType, type Value } from '../graph/graph.js';
import { operatorOf, type NodeOperator } from './index.js';

/**
 * Checks a finished graph before anybody uses it: unique names, every input defined before its use (so no
 * cycles), the types of every node equal to what its operator infers, outputs defined and not named like a
 * value they are not. Throws at the first violation: a defect of whoever built the graph.
 */
export function verify(graph: Graph): void {
  const defined = new Set<Value>();
  const names = new Set<string>();
  const define = (value: Value): void => {
    if (names.has(value.name)) throw new Error(`graph ${graph.name}: two values are named "${value.name}"`);
    names.add(value.name);
    defined.add(value);
  };
  graph.inputs.forEach(define);
  [...graph.constants.keys()].forEach(define);
  for (const node of graph.nodes) {
    for (const input of node.inputs) {
      if (input && !defined.has(input)) {
        throw new Error(`graph ${graph.name}: ${node.name} reads ${input.name} before it is defined`);
      }
    }
    const operator = operatorOf(node);
    if (operator && operator.domain === node.domain) {
      const inferred = inferredTypes(graph, node, operator);
      for (const [i, output] of node.outputs.entries()) {
        const type = inferred[i];
        if (!type || !sameType(type, output.type)) {
          throw new Error(
            `graph ${graph.name}: ${output.name} does not have the type that ${node.op} infers`,
          );
        }
      }
    }
    node.outputs.forEach(define);
  }
  for (const [name, value] of graph.outputs) {
    if (!defined.has(value)) throw new Error(`graph ${graph.name}: output "${name}" is not defined`);
    // In ONNX a value has one name: an output is a node's output of that name, or gets a name nobody has.
    if (names.has(name) && !(value.producer && value.name === name)) {
      throw new Error(`graph ${graph.name}: the output name "${name}" is taken by another value`);
    }
  }
}

function inferredTypes(graph: Graph, node: Node, operator: NodeOperator): readonly TensorType[] {
  try {
    return operator.infer(
      node.inputs.map((v) => v?.type ?? null),
      node.attributes,
    );
  } catch (cause) {
    throw new Error(`graph ${graph.name}: ${node.name}: ${(cause as Error).message}`, { cause });
  }
}
