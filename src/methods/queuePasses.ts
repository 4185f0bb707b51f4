import { names } from '../programs/names.js';
import type { Held, MicroBatch, StepContext } from './step.js';

/** Writes the keys of a micro-batch, whose view 1 is in `view1`. */
export type EmbedKeys = (batch: MicroBatch, view1: Held, keys: Held) => Promise<void>;

/**
 * The passes of a step whose queries of view 1 are compared with a key `[D]` of their own and a queue of older keys, which
 * takes the step's.
 */
export async function queuePasses(
  context: StepContext,
  batches: readonly MicroBatch[],
  dimension: number,
  embedKeys: EmbedKeys,
): Promise<void> {
  const all: Held[] = [];
  for (const [i, batch] of batches.entries()) {
    const images = await context.view(batch, 0);
    const keys = context.memory(`keys.${i}`, [context.batchSize, dimension]);
    all.push(keys);
    await embedKeys(batch, images, keys);
    await context.pass({
      inputs: () => ({ [names.images]: images, [names.keys]: keys, [names.queue]: context.queue }),
      positives: () => context.read(keys),
    });
  }
  context.enqueue(all);
}
