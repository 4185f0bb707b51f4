import { Graph, type ElementType, type Value } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { runGraph, type RunOptions } from './runGraph.js';

export interface Operand {
  /** Default float32. */
  readonly dtype?: ElementType;
  readonly shape: readonly number[];
  readonly values: readonly number[];
}

/** Values computed from `operands` by the nodes that `build` adds, through ONNX Runtime. */
export async function evaluate(
  operands: readonly Operand[],
  build: (b: Builder, inputs: readonly Value[]) => readonly Value[],
  options: RunOptions = {},
): Promise<number[][]> {
  const graph = new Graph('evaluate');
  const inputs = operands.map(({ dtype = 'float32', shape }, i) => graph.input(`in${i}`, { dtype, shape }));
  for (const [i, value] of build(new Builder(graph), inputs).entries()) graph.output(`out${i}`, value);
  const feeds = Object.fromEntries(operands.map(({ values }, i) => [`in${i}`, values]));
  return Object.values(await runGraph(graph, feeds, options));
}
