import type { Config } from '../config/schema.js';
import { accumulate } from '../optimizers/accumulate.js';
import { gradientNorm } from '../optimizers/clipping.js';
import { optimizerOf } from '../optimizers/optimizer.js';
import type { Program } from './program.js';

/**
 * One step of the optimiser, in the order in which it runs: with `accumulates` the sum of the micro-batches'
 * gradients, their norm where it is bounded, the update over pieces of the arenas, and for LARS that of whole tensors.
 */
export function updatePrograms({ optimizer }: Pick<Config, 'optimizer'>, accumulates: boolean): Program[] {
  return [
    ...(accumulates ? [{ name: 'accumulate', kind: 'accumulate', graph: accumulate() } as const] : []),
    ...(optimizer.clipNorm > 0 ? [{ name: 'norm', kind: 'norm', graph: gradientNorm() } as const] : []),
    ...Array.from(optimizerOf(optimizer).graphs, ([name, graph]): Program => ({
      name,
      kind: 'update',
      graph,
    })),
  ];
}
