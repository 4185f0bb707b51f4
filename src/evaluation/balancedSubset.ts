import { UsageError } from '../errors.js';
import { Random } from '../random.js';

/** First word of the random streams that choose images. */
const subsetStream = 0x6c61626c;

/**
 * Ascending indices of a share of the images with equally many of each class, at least one, chosen by the seed; of a
 * class that has fewer, all. Throws a UsageError when the share is not in (0, 1].
 */
export function balancedSubset(
  labels: Int32Array,
  classes: number,
  share: number,
  seed: number,
): Uint32Array {
  if (!(share > 0 && share <= 1)) {
    throw new UsageError(`labels: the share is ${share}; accepted: a number above 0, 1 at most`);
  }
  const each = Math.max(1, Math.round((share * labels.length) / classes));
  const chosen: number[] = [];
  for (let label = 0; label < classes; label++) {
    const own = Array.from(labels.keys()).filter((index) => labels[index] === label);
    const order = new Random(subsetStream, seed, label).permutation(own.length);
    for (const position of order.subarray(0, each)) chosen.push(own[position]!);
  }
  return Uint32Array.from(chosen).sort();
}
