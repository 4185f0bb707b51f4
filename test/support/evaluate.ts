import { Graph, type Value } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { placeOperands, type OperandType } from './operands.js';
import { runGraph } from './runGraph.js';
import { describeOn, testedTargets, type TestedTarget } from './testedTargets.js';

export interface Operand extends OperandType {
  readonly values: readonly number[];
}

/** Values computed from `operands` by the nodes that `build` adds, through ONNX Runtime. */
export async function evaluate(
  operands: readonly Operand[],
  build: (b: Builder, inputs: readonly Value[]) => readonly Value[],
  tested: TestedTarget = testedTargets[0]!,
): Promise<number[][]> {
  const b = new Builder(new Graph('evaluate'));
  const placed = placeOperands(b, operands, tested);
  for (const [i, value] of build(b, placed.values).entries()) b.graph.output(`out${i}`, value);
  const feeds = placed.feeds(operands.map(({ values }) => values));
  return Object.values(await runGraph(b.graph, feeds, { ...tested, places: placed.places }));
}

export type Evaluate = (
  operands: readonly Operand[],
  build: (b: Builder, inputs: readonly Value[]) => readonly Value[],
) => Promise<number[][]>;

/** A suite of tests for every target; `evaluate` runs on it. */
export function onEveryTarget(title: string, body: (evaluate: Evaluate, tested: TestedTarget) => void): void {
  for (const tested of testedTargets) {
    describeOn(tested, title, () => body((operands, build) => evaluate(operands, build, tested), tested));
  }
}
