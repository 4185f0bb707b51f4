import { isAbsolute, posix } from 'node:path';
import { datasetImages, type DatasetImages } from './datasetImages.js';
import { folderImages, type FolderImages } from './folderImages.js';
import { intervalOf } from './intervals.js';
import { parquetImages, type ParquetImages } from './parquet/parquetImages.js';
import type { RawImage } from './rawImage.js';
import { shardImages, type ShardImages } from './shards/shardImages.js';

/**
 * N named images, encoded: what folders, lists and archives of image files have in common; those of a data set are
 * pixels, which become files where one is asked for. A plain value that survives structured cloning, with whatever grows with N in typed arrays on shared memory, so that
 * handing it to a worker thread copies nothing. What can be done with it stands here and in `imageStore.ts`: choosing
 * among them, decoding, what stands in for a damaged one. A new kind is an interface with a `kind` of its own in this
 * union, and an `EncodedKind` in the table below.
 */
export type EncodedImages = FolderImages | ShardImages | ParquetImages | DatasetImages | MixedImages;

/** Images of several places, those of one after those of the other. */
export interface MixedImages {
  readonly kind: 'mixed';
  /** The folder of the file that names them. */
  readonly root: string;
  readonly parts: readonly EncodedImages[];
  /** [parts], what stands before the names of each: its place, relative to `root` with forward slashes or absolute. */
  readonly places: readonly string[];
  /** [parts + 1], the first image of each, and N. */
  readonly firsts: Uint32Array;
}

/** How the images of one kind are found. `index` is from 0 to N - 1. */
export interface EncodedKind<Images extends EncodedImages> {
  /** N. */
  count(images: Images): number;
  /** What a person finds image `index` by, unique among them; relative to `root`, with forward slashes. */
  name(images: Images, index: number): string;
  /**
   * The content of image `index`, all of it, in memory of its own. Rejects with an Error that says why, without the
   * image's name, when it cannot be read: another one then stands in for it.
   */
  bytes(images: Images, index: number): Promise<Buffer>;
  /** The pixels of image `index`, shared, where they are known without decoding; else null. Absent: never. */
  pixels?(images: Images, index: number): RawImage | null;
}

const mixedImages: EncodedKind<MixedImages> = {
  count: ({ firsts }) => firsts.at(-1)!,
  name: (images, index) => {
    const { part, place, at } = partOf(images, index);
    return nameIn(place, encodedName(part, at));
  },
  bytes: (images, index) => {
    const { part, at } = partOf(images, index);
    return encodedBytes(part, at);
  },
  pixels: (images, index) => {
    const { part, at } = partOf(images, index);
    return knownPixels(part, at);
  },
};

function partOf({ parts, places, firsts }: MixedImages, index: number) {
  const i = intervalOf(firsts, index);
  return { part: parts[i]!, place: places[i]!, at: index - firsts[i]! };
}

/** The name of what is in a place; lists may name what is anywhere. */
export function nameIn(place: string, name: string): string {
  return isAbsolute(name) ? name : posix.join(place, name);
}

const kinds: {
  readonly [Kind in EncodedImages['kind']]: EncodedKind<Extract<EncodedImages, { kind: Kind }>>;
} = {
  folder: folderImages,
  shards: shardImages,
  parquet: parquetImages,
  dataset: datasetImages,
  mixed: mixedImages,
};

/** N. */
export function encodedCount(images: EncodedImages): number {
  return kindOf(images).count(images);
}

/** The name of one of them, relative to where they come from. */
export function encodedName(images: EncodedImages, index: number): string {
  return kindOf(images).name(images, index);
}

/** The encoded file, as it is. Rejects with an Error that says why when it cannot be read. */
export function encodedBytes(images: EncodedImages, index: number): Promise<Buffer> {
  return kindOf(images).bytes(images, index);
}

/** The pixels of one of them where they are known without decoding; else null. */
export function knownPixels(images: EncodedImages, index: number): RawImage | null {
  return kindOf(images).pixels?.(images, index) ?? null;
}

function kindOf({ kind }: EncodedImages): EncodedKind<EncodedImages> {
  return kinds[kind];
}
