import type { Config } from '../config/schema.js';
import type { MethodName, MethodOf } from '../config/methods.js';
import { combineProgram } from '../programs/combine.js';
import { calibrateProgram, embedProgram } from '../programs/embed.js';
import type { AddHead, Network } from '../programs/network.js';
import type { Program } from '../programs/program.js';
import { queryProgram, type Objective } from '../programs/query.js';
import { updatePrograms } from '../programs/update.js';
import type { MicroBatch, StepContext } from './step.js';

/** What a method asks of a run. */
export interface Needs {
  /** Classes that the images must be labelled with; null where it trains without labels. */
  readonly classes: number | null;
  /** Views of an image that a step sees. */
  readonly views: 1 | 2;
  /** Whether its head gives an embedding; class scores otherwise. */
  readonly embedding: boolean;
  /** Frozen models, images `[N, 3, S, S]` -> embeddings, that the run keeps copies of. */
  readonly models: readonly ModelNeed[];
}

export interface ModelNeed {
  /** Of the method's config that holds its path; also what a step knows it by. */
  readonly key: string;
  /** An ONNX file. */
  readonly path: string;
  /** Length of its embeddings. */
  readonly dimension: number;
}

/** A framework: the heads on the encoder, its programs, and the step that runs them. */
export interface Method<K extends MethodName> {
  /** `embedding` is a trait that its config has. */
  needs(method: MethodOf<K>): Omit<Needs, 'embedding'>;
  heads(add: AddHead, method: MethodOf<K>): Pick<Network, 'head' | 'keyHead'>;
  /** In the order in which a step runs them. */
  programs(network: Network, config: Config, method: MethodOf<K>): Program[];
  /** The passes of a step over the micro-batches of one replica (docs/method.md); what comes before and after is the same for all. */
  step(context: StepContext, batches: readonly MicroBatch[], method: MethodOf<K>): Promise<void>;
}

/** What most methods need: two views, whose embeddings they compare. */
export const twoViews = { classes: null, views: 2, models: [] } as const satisfies Omit<Needs, 'embedding'>;

/** Forward and backward of every width, each on `batch` images. */
export function queries(network: Network, config: Config, batch: number, objective: Objective): Program[] {
  return config.widths.map((width) => queryProgram(network, config, width, batch, objective));
}

/**
 * What follows the gradients in every method: their sum and the optimiser; then the programs of evaluation. `passes`:
 * how often a step runs each query program.
 */
export function updatesAndEvaluation(network: Network, config: Config, passes: number): Program[] {
  const { widths } = config;
  return [
    ...widths.slice(1).map((width) => combineProgram(network.declarations.parameters, widths, width)),
    ...updatePrograms(config, passes > 1),
    ...widths.map((width) => embedProgram(network, config, width)),
    ...widths.map((width) => calibrateProgram(network, config, width)),
  ];
}
