import type { MicroBatch, StepContext } from './step.js';

/**
 * The keys `[N, D]` of each micro-batch of this replica where the views 2 of a step are shuffled (ShuffleBN, He et al.,
 * 2020): batch norm of the key network sees other images together than that of the queries, so that its statistics tell
 * nothing of which key is a query's own. All replicas embed the images that they have and exchange keys, no images. Null
 * where nothing is shuffled.
 */
export async function shuffledKeys(
  context: StepContext,
  batches: readonly MicroBatch[],
  dimension: number,
): Promise<ReadonlyMap<MicroBatch, Float32Array> | null> {
  const { batchSize } = context;
  const embedded = context.memory('keys.shuffled', [batchSize, dimension]);
  const own: { readonly positions: Uint32Array; readonly keys: Float32Array }[] = [];
  for (const batch of batches) {
    if (!batch.shuffled) return null;
    await context.embedKeys(await context.view(batch, 1, 1), embedded);
    own.push({ positions: batch.shuffled, keys: await context.read(embedded) });
  }
  const all = await context.gather(own);
  const inOrder = new Float32Array(all.length * batchSize * dimension);
  for (const { positions, keys } of all) {
    for (const [row, position] of positions.entries()) {
      inOrder.set(keys.subarray(row * dimension, (row + 1) * dimension), position * dimension);
    }
  }
  const size = batchSize * dimension;
  return new Map(
    batches.map((batch, i) => {
      const start = context.position(i) * size;
      return [batch, inOrder.subarray(start, start + size)];
    }),
  );
}
