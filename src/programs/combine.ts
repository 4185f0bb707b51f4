import { Graph } from '../graph/graph.js';
import type { Parameter } from '../nn/parameter.js';
import { Builder } from '../ops/builder.js';
import { widthLabel } from '../nn/widthLabel.js';
import { prefixes } from './names.js';
import type { Program } from './program.js';

/** Parameters that more than one width trains, the full width among them: their gradients must be summed. */
export function sharedParameters(parameters: readonly Parameter[], widths: readonly number[]): Parameter[] {
  return parameters.filter((p) => widths.filter((width) => p.slice(width)).length > 1);
}

/**
 * Adds the gradients of one width to sums at full size, which begin as the gradients of the full width (docs/method.md,
 * one training step, 4). Every element is read and written once, so that a sum may take the place of the one before. A
 * parameter of one width only (batch norm) needs no sum and does not appear.
 */
export function combineProgram(
  parameters: readonly Parameter[],
  widths: readonly number[],
  width: number,
): Program {
  const label = widthLabel(width);
  const graph = new Graph(`combine.${label}`);
  const b = new Builder(graph);
  const inputsOf = new Map<string, string>();
  const outputsOf = new Map<string, string>();
  for (const { name, shape, slice } of sharedParameters(parameters, widths)) {
    const region = slice(width);
    if (!region) continue;
    const input = (prefix: string, shape: readonly number[]) => {
      inputsOf.set(`${prefix}${name}`, name);
      return graph.input(`${prefix}${name}`, { dtype: 'float32', shape });
    };
    const [sum, gradient] = [input(prefixes.sum, shape), input(prefixes.gradient, region.shape)];
    const added = b.scope(name, () => b.op('AddBlock', [sum, gradient], { starts: region.start }));
    graph.output(`new_sum.${name}`, added);
    outputsOf.set(`new_sum.${name}`, name);
  }
  return { name: graph.name, kind: 'combine', width: label, graph, inputsOf, outputsOf };
}
