import type { Graph, Value } from '../../src/graph/graph.js';
import { rewrite } from '../../src/graph/rewrite.js';
import { Builder } from '../../src/ops/builder.js';
import type { OpName } from '../../src/ops/operator.js';
import { lower } from '../../src/targets/lower.js';
import { portable } from '../../src/targets/portable.js';
import type { Target } from '../../src/targets/target.js';

/**
 * A graph, lowered, that computes as a GPU does: each float16 operator in float32 within, its result
 * rounded. ONNX Runtime's CPU provider inserts casts around such operators and then leaves out every pair that cancels
 * out, so that nothing is rounded between convolutions.
 */
export function roundedFloat16(graph: Graph, target: Target = portable): Graph {
  const lowered = lower(graph, target);
  return rewrite(lowered, {
    replace(node, copy) {
      const isHalf = (value: Value | null) => value?.dtype === 'float16';
      if (![...node.inputs, ...node.outputs].some(isHalf)) return null;
      const b = new Builder(copy.graph);
      const read = (value: Value | null) =>
        value && isHalf(value) ? b.cast(copy.of(value), 'float32') : value && copy.of(value);
      return b.scope(node.name, () => {
        const inputs = node.inputs.map(read);
        const computed = node.op === 'Cast' ? inputs : b.node(node.op as OpName, inputs, node.attributes);
        return node.outputs.map((output, i) => {
          const value = computed[i]!;
          return isHalf(output) ? kept(b, b.cast(value, 'float16')) : value;
        });
      });
    },
  });
}

/** The same value behind a node that runs in float16, so that the casts around it are not a pair. */
function kept(b: Builder, value: Value): Value {
  const { dims } = value;
  return b.op('Reshape', [b.op('Reshape', [value], { shape: [1, ...dims] })], { shape: dims });
}
