import { Graph, sameShape, type Value } from '../graph/graph.js';
import { hull, leading, type Region } from '../graph/region.js';
import type { Parameter } from '../nn/parameter.js';
import { Builder } from '../ops/builder.js';
import { widthLabel } from './manifest.js';
import type { Program } from './program.js';

/** Parameters that more than one width trains: their gradients must be summed. */
export function sharedParameters(parameters: readonly Parameter[], widths: readonly number[]): Parameter[] {
  return parameters.filter((p) => widths.filter((width) => p.slice(width)).length > 1);
}

/**
 * Sums the gradients of all widths into full-size ones, each zero outside its block (docs/method.md, one training
 * step, 5). A parameter of one width only (batch norm) needs no sum and does not appear.
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
      let sum: Block | null = null;
      for (const width of narrowFirst) {
        const region = parameter.slice(width);
        if (!region) continue;
        const name = `${widthLabel(width)}.grad.${parameter.name}`;
        const value = graph.input(name, { dtype: 'float32', shape: region.shape });
        inputsOf.set(name, parameter.name);
        sum = sum ? added(b, sum, { region, value }) : { region, value };
      }
      const name = `grad.${parameter.name}`;
      graph.output(name, grown(b, sum!, leading(parameter.shape)));
      outputsOf.set(name, parameter.name);
    });
  }
  return { name: 'combine', kind: 'combine', graph, inputsOf, outputsOf };
}

/** Values of a tensor in a region of it; those outside are zero. */
export interface Block {
  readonly region: Region;
  readonly value: Value;
}

/** The sum of two blocks of a tensor. A Pad is only where a block is not all of what both span: none for the outer of two. */
function added(b: Builder, left: Block, right: Block): Block {
  const region = hull(left.region, right.region);
  return { region, value: b.op('Add', [grown(b, left, region), grown(b, right, region)]) };
}

/** The values of a block in a larger region that contains its own. */
export function grown(b: Builder, { region, value }: Block, larger: Region): Value {
  if (sameShape(region.shape, larger.shape)) return value;
  const before = region.start.map((from, i) => from - larger.start[i]!);
  const after = larger.shape.map((size, i) => size - before[i]! - region.shape[i]!);
  return b.op('Pad', [value], { pads: [...before, ...after] });
}
