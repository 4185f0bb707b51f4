import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeLanes, forEachConcurrently } from './concurrency.js';
import { decodeFile, headerOf } from './imageDecoder.js';
import { describeIgnored } from './imageFolder.js';
import { PixelCheck } from './pixelCheck.js';
import type { ImageSource, SkippedFile } from './source.js';
import { throttled } from './throttled.js';
import { reasonOf } from '../errors.js';

export interface SourceDescription {
  readonly name: string;
  /** Images that can be decoded. */
  readonly count: number;
  readonly classes: readonly { readonly name: string; readonly count: number }[] | null;
  /** In pixels, of the images that can be decoded; null when none can. */
  readonly width: Statistics | null;
  readonly height: Statistics | null;
  /** Every file that cannot be decoded, also those with an intact header. */
  readonly skipped: readonly SkippedFile[];
  /** What the folder holds beside them, in one line; null when there is nothing. */
  readonly ignored: string | null;
  /** What a person should know of the pixels, one line each. */
  readonly notices: readonly string[];
}

export interface Statistics {
  readonly minimum: number;
  readonly median: number;
  readonly maximum: number;
}

export interface DescriptionOptions {
  /** Told how far it is, about twice a second. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Count images, classes and sizes. Every image of a folder is decoded, so every damaged one is found. Aborting `signal`
 * ends it with its reason.
 */
export async function describeSource(
  source: ImageSource,
  { onProgress, signal }: DescriptionOptions = {},
): Promise<SourceDescription> {
  const progress = throttled(onProgress);
  const { name, store, labels, classes } = source;
  const skipped = new Map(source.skipped.map((file) => [file.path, file]));
  const counts = new Array<number>(classes?.length ?? 0).fill(0);
  const widths: number[] = [];
  const heights: number[] = [];
  const check = new PixelCheck();
  const count = (index: number, width: number, height: number) => {
    widths.push(width);
    heights.push(height);
    if (labels) counts[labels[index]!]! += 1;
  };
  if (store.kind === 'packed') {
    for (let i = 0; i < source.length; i++) count(i, store.images.width, store.images.height);
  } else {
    await forEachConcurrently(source.length, decodeLanes, async (index) => {
      const path = store.files[index]!;
      signal?.throwIfAborted();
      progress(() => `reading images of ${name}: ${index} of ${source.length}`);
      try {
        const file = await readFile(join(store.root, path));
        const { bits } = await headerOf(file);
        const image = await decodeFile(file);
        count(index, image.width, image.height);
        check.add(image, bits);
      } catch (error) {
        skipped.set(path, { path, reason: reasonOf(error) });
      }
    });
  }
  return {
    name,
    count: widths.length,
    classes: classes?.map((className, label) => ({ name: className, count: counts[label]! })) ?? null,
    width: statisticsOf(widths),
    height: statisticsOf(heights),
    skipped: [...skipped.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
    ignored: source.ignored && describeIgnored(source.ignored),
    notices: check.notices(name),
  };
}

function statisticsOf(values: number[]): Statistics | null {
  if (values.length === 0) return null;
  const sorted = values.sort((a, b) => a - b);
  return { minimum: sorted[0]!, median: sorted[sorted.length >> 1]!, maximum: sorted.at(-1)! };
}
