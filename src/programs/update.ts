import type { Config } from '../config/schema.js';
import { accumulate } from '../optimizers/accumulate.js';
import { gradientNorm } from '../optimizers/clipping.js';
import { optimizerOf } from '../optimizers/optimizer.js';
import type { Program } from './program.js';

/**
 * One step of the optimiser, in the order in which it runs: with `accumulates` the sum of the micro-batches'
 * gradients, their norm where it is bounded or may overflow, the update over pieces of the arenas, and for LARS that of whole tensors.
 */
export function updatePrograms(
  { optimizer, runtime }: Pick<Config, 'optimizer'> & { runtime: Pick<Config['runtime'], 'precision'> },
  accumulates: boolean,
): Program[] {
  const readsNorm = optimizer.clipNorm > 0 || runtime.precision === 'float16';
  return [
    ...(accumulates ? [{ name: 'accumulate', kind: 'accumulate', graph: accumulate() } as const] : []),
    ...(readsNorm ? [{ name: 'norm', kind: 'norm', graph: gradientNorm() } as const] : []),
    ...Array.from(optimizerOf(optimizer).graphs, ([name, graph]): Program => ({
      name,
      kind: 'update',
      graph,
    })),
  ];
}
