import { Random } from '../random.js';

/** First word of the name of the random stream that chooses a subset. */
const selectionStream = 0x73656c65;

/** Ascending indices of at most `limit` of `count` images, chosen by the seed; 0 means all. */
export function select(count: number, limit: number, seed: number): Uint32Array {
  const order = selectionOrder(count, limit, seed);
  return limit === 0 || limit >= count ? order : order.slice(0, limit).sort();
}

/** What a choice is known by; empty when all images are in use: the seed does not matter then. */
export function selectionIdentity(count: number, limit: number, seed: number): string {
  return limit === 0 || limit >= count ? '' : `${limit} of ${count} by seed ${seed}`;
}

/** The order in which the seed chooses images when there is a limit; their own where all are taken. */
export function selectionOrder(count: number, limit: number, seed: number): Uint32Array {
  if (limit === 0 || limit >= count) return Uint32Array.from({ length: count }, (_, index) => index);
  return new Random(selectionStream, seed).permutation(count);
}
