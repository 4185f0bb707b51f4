/**
 * Age in steps of the queue's entries as a step sees them: the keys of the step before have age 1. Every step puts in
 * `batch` keys (all micro-batches); entries that none has replaced yet count from step 0. `step` is the number of
 * steps before this one.
 */
export function queueAge(queueSize: number, batch: number, step: number): { mean: number; max: number } {
  let [sum, left, max] = [0, queueSize, 0];
  while (left > 0 && max < step) {
    max += 1;
    const entries = Math.min(batch, left);
    sum += max * entries;
    left -= entries;
  }
  return { mean: (sum + left * step) / queueSize, max };
}
