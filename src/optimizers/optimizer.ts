import type { OptimizerConfig, OptimizerOf } from '../config/optimization.js';
import type { Graph } from '../graph/graph.js';
import type { ParameterRole } from '../nn/parameter.js';
import { adamw } from './adamw.js';
import { lars } from './lars.js';
import { sgd } from './sgd.js';
import type { UpdateName } from './updateGraph.js';

export interface Optimizer {
  /** What it keeps for each parameter element: names of arenas and graph inputs, prefixes in checkpoints. */
  readonly slots: readonly string[];
  /** Its update graphs by name, `update` first. */
  readonly graphs: ReadonlyMap<UpdateName, Graph>;
  /** The graph that updates parameters of a role. */
  updateOf(role: ParameterRole): UpdateName;
  /** Scalar inputs of its own at the t-th update of a parameter, t from 1. */
  scalars(t: number): Readonly<Record<string, number>>;
}

/** The registry of optimisers, by `optimizer.kind` of a config. */
const optimizers: { readonly [K in OptimizerConfig['kind']]: (config: OptimizerOf<K>) => Optimizer } = {
  sgd,
  lars,
  adamw,
};

export function optimizerOf(config: OptimizerConfig): Optimizer {
  // The entry of a kind takes the config of that kind, which TypeScript cannot follow through an index.
  return (optimizers[config.kind] as (config: OptimizerConfig) => Optimizer)(config);
}
