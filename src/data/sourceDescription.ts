import { decodeLanes, forEachConcurrently } from './concurrency.js';
import { describeIgnored } from './imageFolder.js';
import { readWithBits } from './imageStore.js';
import { StatisticsMeter, type MeasuredStatistics } from './measuredStatistics.js';
import { isLookedAt, PixelCheck } from './pixelCheck.js';
import type { ImageSource, SkippedFile } from './source.js';
import { throttled } from './throttled.js';
import { heldOutImages } from './validationSplit.js';
import { reasonOf } from '../errors.js';

export interface SourceDescription {
  readonly name: string;
  /** Images that can be decoded. */
  readonly count: number;
  readonly classes: readonly ClassDescription[] | null;
  /** Images that `data.validation` holds out of training; null where it was not asked for. */
  readonly heldOut: number | null;
  /** Images without a label where others have one. */
  readonly unlabelled: number;
  /** In pixels, of the images that can be decoded; null when none can. */
  readonly width: Statistics | null;
  readonly height: Statistics | null;
  /** Mean and deviation of the channels; null where they were not asked for, and when no image can be decoded. */
  readonly pixels: MeasuredStatistics | null;
  /** Every file that cannot be decoded, also those with an intact header. */
  readonly skipped: readonly SkippedFile[];
  /** What the folder holds beside them, in one line; null when there is nothing. */
  readonly ignored: string | null;
  /** What a person should know of the images, one line each. */
  readonly notices: readonly string[];
}

export interface ClassDescription {
  readonly name: string;
  readonly count: number;
  /** Of them, those that are held out; absent where it was not asked for. */
  readonly heldOut?: number;
}

export interface Statistics {
  readonly minimum: number;
  readonly median: number;
  readonly maximum: number;
}

export interface DescriptionOptions {
  /** Share or number of images to hold out, as `data.validation`; default 0: none. */
  readonly validation?: number;
  /** Of their choice; default 0. */
  readonly seed?: number;
  /** Measure mean and deviation of the channels; default false. */
  readonly statistics?: boolean;
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
  { validation = 0, seed = 0, statistics = false, onProgress, signal }: DescriptionOptions = {},
): Promise<SourceDescription> {
  const progress = throttled(onProgress);
  const ignored = source.ignored && describeIgnored({ ...source.ignored, hidden: 0 });
  const isOfIgnored = (line: string) => ignored !== null && line.endsWith(ignored);
  const { name, store, labels, classes } = source;
  const held = validation === 0 ? null : heldOutImages(source, validation, seed);
  const heldCounts = held && countByClass(held, labels, classes);
  const skipped = new Map(source.skipped.map((file) => [file.path, file]));
  let unlabelled = 0;
  const counts = new Array<number>(classes?.length ?? 0).fill(0);
  const widths: number[] = [];
  const heights: number[] = [];
  const check = new PixelCheck();
  const meter = statistics ? new StatisticsMeter(source.length, store.pixels.channels) : null;
  const count = (index: number, width: number, height: number) => {
    widths.push(width);
    heights.push(height);
    if (labels && labels[index]! < 0) unlabelled++;
    else if (labels) counts[labels[index]!]!++;
  };
  await forEachConcurrently(source.length, decodeLanes, async (index) => {
    signal?.throwIfAborted();
    progress(() => `reading images of ${name}: ${index} of ${source.length}`);
    try {
      const { image, bits } = await readWithBits(store, index);
      count(index, image.width, image.height);
      meter?.add(index, image);
      if (isLookedAt(source)) check.add(image, bits);
    } catch (error) {
      const path = source.nameOf(index);
      skipped.set(path, { path, reason: reasonOf(error) });
    }
  });
  return {
    name,
    count: widths.length,
    heldOut: held && held.length,
    classes:
      classes?.map((className, label) => ({
        name: className,
        count: counts[label]!,
        ...(heldCounts && { heldOut: heldCounts[label]! }),
      })) ?? null,
    unlabelled,
    width: statisticsOf(widths),
    height: statisticsOf(heights),
    pixels: meter && meter.measured(),
    skipped: [...skipped.values()].sort((a, b) => (a.path < b.path ? -1 : 1)),
    ignored: source.ignored && describeIgnored(source.ignored),
    notices: [...source.notices.filter((line) => !isOfIgnored(line)), ...check.notices(name)],
  };
}

function countByClass(
  indices: Uint32Array,
  labels: Int32Array | null,
  classes: readonly string[] | null,
): number[] {
  const counts = new Array<number>(classes?.length ?? 0).fill(0);
  if (labels) for (const index of indices) counts[labels[index]!]!++;
  return counts;
}

function statisticsOf(values: number[]): Statistics | null {
  if (values.length === 0) return null;
  const sorted = values.sort((a, b) => a - b);
  return { minimum: sorted[0]!, median: sorted[sorted.length >> 1]!, maximum: sorted.at(-1)! };
}
