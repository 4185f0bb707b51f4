import { sameType, type Node, type Value } from '../graph/graph.js';
import { formatType } from '../onnx/model.js';
import type { Builder } from '../ops/builder.js';
import { operatorOf } from '../ops/index.js';
import type { Lowering, OpName } from '../ops/operator.js';
import type { LoweringRules } from './target.js';

/**
 * What stands for the outputs of a node, its inputs being `inputs` of the builder's graph, null where nothing does: by
 * the target's rule, a composite operator by its portable lowering, another one as it is. Checks the types.
 */
export function lowerNode(
  b: Builder,
  node: Node,
  inputs: readonly (Value | null)[],
  target: string,
  rules: LoweringRules = {},
): readonly (Value | null)[] {
  const operator = operatorOf(node);
  const rule =
    (rules[node.op as OpName] as Lowering<object> | undefined) ??
    (operator?.domain === 'slimclr' ? operator.lower : undefined);
  const types = node.outputs.map((output) => output.type);
  const values = rule
    ? b.graph.scope(node.name, () => rule(b, inputs as Value[], node.attributes, types))
    : b.graph.copy(node, inputs);
  return node.outputs.map((output, i) => {
    const value = values[i] ?? null;
    if (value && !sameType(value.type, output.type)) {
      throw new Error(
        `${target}: ${node.name} output ${i} is lowered to ${formatType(value.type)}, ` +
          `not ${formatType(output.type)}`,
      );
    }
    return value;
  });
}
