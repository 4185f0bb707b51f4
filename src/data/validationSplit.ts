import { hash } from 'node:crypto';
import { UsageError } from '../errors.js';

/** What a choice of held-out images is made of. */
export interface SplitSubject {
  /** Of the source, for messages. */
  readonly name: string;
  /** Images. */
  readonly length: number;
  /** The name of an image wherever the images are: the path in the folder, the key in a shard. */
  nameOf(index: number): string;
  /** The class of each image, below 0 where it has none; null: no image has one. */
  readonly labels: Int32Array | null;
}

/**
 * Ascending indices of the images that training never sees: `validation` below 1 is a share, else a number, of the
 * images with labels where there are any. Each class gives its part to the nearest image, and keeps at least one. Of a
 * class those are taken that come first by the SHA-256 of seed and name: the same ones wherever the folder is, in any
 * order, and with more of them those that were taken before. Throws a UsageError where a share is less than one image
 * and where there are not as many images.
 */
export function heldOutImages(subject: SplitSubject, validation: number, seed: number): Uint32Array {
  const { name, length, labels } = subject;
  const nameOf = (index: number) => subject.nameOf(index);
  const groups = new Map<number, number[]>();
  const isLabelled = labels?.some((label) => label >= 0) ?? false;
  let candidates = 0;
  for (let index = 0; index < length; index++) {
    const label = isLabelled ? labels![index]! : 0;
    if (label < 0) continue;
    const group = groups.get(label);
    if (group) group.push(index);
    else groups.set(label, [index]);
    candidates++;
  }
  const wanted = validation < 1 ? Math.round(validation * candidates) : validation;
  const most = candidates - groups.size;
  if (wanted < 1 || wanted > most) {
    const what = `${candidates}${isLabelled ? ' labelled' : ''} images of ${name}`;
    throw new UsageError(
      `data.validation ${validation} of ${what} ` +
        (wanted < 1
          ? 'is less than one; accepted: a larger share, or a number of images'
          : `leaves none of a class to train on; accepted: at most ${most}, or 0 for none`),
    );
  }
  const ranks = new Float64Array(length);
  for (const group of groups.values()) {
    for (const index of group) ranks[index] = rankOf(nameOf(index), seed);
    // Equal ones, of which there are hardly any, by their names.
    group.sort((a, b) => ranks[a]! - ranks[b]! || (nameOf(a) < nameOf(b) ? -1 : 1));
  }
  const ordered = [...groups.values()].sort((a, b) => ranks[a[0]!]! - ranks[b[0]!]!);
  const counts = apportion(
    ordered.map((group) => group.length),
    wanted,
  );
  return Uint32Array.from(ordered.flatMap((group, i) => group.slice(0, counts[i]))).sort();
}

/** Of 48 bits. */
function rankOf(name: string, seed: number): number {
  const digest = hash('sha256', `${seed}\0${name.normalize()}`, 'buffer');
  return digest.readUIntBE(0, 6);
}

/** `wanted` things in proportion to `sizes` (largest remainder, of equal ones the first), and fewer than each size. */
function apportion(sizes: readonly number[], wanted: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0);
  const quotas = sizes.map((size) => (wanted * size) / total);
  const counts = sizes.map((size, i) => Math.min(Math.floor(quotas[i]!), size - 1));
  let left = wanted - counts.reduce((sum, count) => sum + count, 0);
  while (left > 0) {
    const open = [...sizes.keys()].filter((i) => counts[i]! < sizes[i]! - 1);
    open.sort((a, b) => quotas[b]! - counts[b]! - (quotas[a]! - counts[a]!));
    for (const i of open.slice(0, left)) counts[i]!++;
    left -= Math.min(left, open.length);
  }
  return counts;
}
