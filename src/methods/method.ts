import type { Config } from '../config/schema.js';
import type { MethodName, MethodOf } from '../config/methods.js';
import { combineProgram } from '../programs/combine.js';
import { calibrateProgram, embedProgram } from '../programs/embed.js';
import type { AddHead, Network } from '../programs/network.js';
import type { Program } from '../programs/program.js';
import { queryProgram, type Objective } from '../programs/query.js';
import { updatePrograms } from '../programs/update.js';

/** A framework: the heads on the encoder, and the programs of a step in the order in which it runs them. */
export interface Method<K extends MethodName> {
  heads(add: AddHead, method: MethodOf<K>): Pick<Network, 'head' | 'keyHead'>;
  programs(network: Network, config: Config, method: MethodOf<K>): Program[];
}

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
