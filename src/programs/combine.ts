import { Graph, sameShape, type Value } from '../graph/graph.js';
import type { Parameter } from '../nn/parameter.js';
import { Builder } from '../ops/builder.js';
import { widthLabel } from './manifest.js';
import type { Program } from './program.js';

/** Parameters that more than one width trains: their gradients must be summed. */
export function sharedParameters(parameters: readonly Parameter[], widths: readonly number[]): Parameter[] {
  return parameters.filter((p) => widths.filter((width) => p.slice(width)).length > 1);
}

/**
 * Sums the gradients of all widths into full-size ones, each zero outside its leading block (docs/method.md, one
 * training step, 5). A parameter of one width only (batch norm) needs no sum and does not appear.
 */
export function combineProgram(parameters: readonly Parameter[], widths: readonly number[]): Program {
  const graph = new Graph('combine');
  const b = new Builder(graph);
  const narrowFirst = [...widths].sort((x, y) => x - y);
  const inputsOf = new Map<string, string>();
  const outputsOf = new Map<string, string>();
  for (const parameter of sharedParameters(parameters, widths)) {
    b.scope(parameter.name, () => {
      // From the narrowest up, so that each addition is as small as it can be, and the last one is of whole
      // gradients, element by element: the sum may replace the full width's gradient in its memory.
      let sum: Value | null = null;
      for (const width of narrowFirst) {
        const shape = parameter.slice(width);
        if (!shape) continue;
        const name = `${widthLabel(width)}.grad.${parameter.name}`;
        const block = graph.input(name, { dtype: 'float32', shape });
        inputsOf.set(name, parameter.name);
        sum = sum ? b.op('Add', [grown(b, sum, shape), block]) : block;
      }
      const name = `grad.${parameter.name}`;
      graph.output(name, grown(b, sum!, parameter.shape));
      outputsOf.set(name, parameter.name);
    });
  }
  return { name: 'combine', kind: 'combine', graph, inputsOf, outputsOf };
}

/** A block padded with zeros to the shape it is the leading block of. */
function grown(b: Builder, block: Value, shape: readonly number[]): Value {
  if (sameShape(block.shape, shape)) return block;
  return b.op('Pad', [block], { pads: [...shape.map(() => 0), ...shape.map((d, i) => d - block.dims[i]!)] });
}
