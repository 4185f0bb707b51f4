import type { Config } from '../config/schema.js';
import { combineProgram } from '../programs/combine.js';
import { calibrateProgram, embedProgram } from '../programs/embed.js';
import { keyProgram, momentumProgram } from '../programs/key.js';
import type { Network } from '../programs/network.js';
import type { Program } from '../programs/program.js';
import { queryProgram } from '../programs/query.js';
import { updateProgram } from '../programs/update.js';

/** The programs of SlimCLR-MoCo v2, in the order a step runs them; the last two are for evaluation. */
export function mocoV2Programs(network: Network, config: Config): Program[] {
  const { widths } = config;
  return [
    momentumProgram(),
    keyProgram(network, config),
    ...widths.map((width) => queryProgram(network, config, width)),
    ...(widths.length > 1 ? [combineProgram(network.declarations.parameters, widths)] : []),
    updateProgram(config),
    ...widths.map((width) => embedProgram(network, config, width)),
    ...widths.map((width) => calibrateProgram(network, config, width)),
  ];
}
