import type { Graph } from '../graph/graph.js';
import type { Lowering, OpName, OperatorAttributes } from '../ops/operator.js';
import type { ParameterLayout } from './parameterLayout.js';

/** Inputs and outputs of a graph that hold a parameter, a block of one or its gradient: their layouts. */
export interface ParameterPlaces {
  readonly inputs: ReadonlyMap<string, ParameterLayout>;
  readonly outputs: ReadonlyMap<string, ParameterLayout>;
}

export const noPlaces: ParameterPlaces = { inputs: new Map(), outputs: new Map() };

/** What a target rewrites single operators by. */
export type LoweringRules = { readonly [K in OpName]?: Lowering<OperatorAttributes[K]> };

/**
 * What one runtime runs best: rules that rewrite operators into nodes this runtime executes. A composite
 * operator without a rule takes its portable lowering, a standard one stays as it is.
 */
export interface Target {
  readonly name: string;
  /** ONNX opset of the emitted models, 17 to 21. */
  readonly opset: number;
  /** Absent: none. */
  readonly rules?: LoweringRules;
  /**
   * Whether ONNX Runtime is to optimise the graphs when it loads them. `disabled` where a target has done that
   * and the order of its nodes is meant.
   */
  readonly optimization: 'all' | 'disabled';
  /** How a parameter of this shape lies in memory; absent: all are plain. */
  layout?(shape: readonly number[]): ParameterLayout;
  /** Rewrites a whole graph, for a target whose values have layouts of their own; absent: node by node. */
  rewrite?(graph: Graph, places: ParameterPlaces): Graph;
}
