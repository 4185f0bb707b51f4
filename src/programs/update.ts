import type { Config } from '../config/schema.js';
import { sgd } from '../optimizers/sgd.js';
import type { Program } from './program.js';

/** One step of the optimiser over a piece of the parameter arena. */
export function updateProgram({ optimizer }: Pick<Config, 'optimizer'>): Program {
  return { name: 'update', kind: 'update', graph: sgd(optimizer.momentum) };
}
