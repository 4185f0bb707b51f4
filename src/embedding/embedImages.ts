import { decodeLanes, forEachConcurrently } from '../data/concurrency.js';
import { readItself } from '../data/imageStore.js';
import type { ImageSource, RawImage, SkippedFile } from '../data/source.js';
import { throttled } from '../data/throttled.js';
import { reasonOf, SlimclrError } from '../errors.js';
import { requireFiniteRows } from '../evaluation/finite.js';
import type { ImageEncoder } from './imageEncoder.js';

/** Features of images, one row an image. */
export interface EmbeddedImages {
  /** Paths in the folder; of a named data set the numbers of the images. */
  readonly names: readonly string[];
  /** Name of each image's class, empty for one without a label; null where images have none. */
  readonly classes: readonly string[] | null;
  readonly channels: number;
  /** [n, C], not normalised. */
  readonly features: Float32Array;
  /** Files that cannot be read; no row is theirs. */
  readonly skipped: readonly SkippedFile[];
}

export interface EmbedWatch {
  /** Told how far it is, about twice a second. */
  readonly onProgress?: (message: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Features of the images of a source, in its order. Nothing stands in for an image that cannot be decoded: it is left out.
 * Throws a SlimclrError when none can, and for features that are not finite.
 */
export async function embedImages(
  source: ImageSource,
  encoder: ImageEncoder,
  { onProgress, signal }: EmbedWatch = {},
): Promise<EmbeddedImages> {
  const progress = throttled(onProgress);
  const skipped = [...source.skipped];
  const rows: number[] = [];
  let channels = 0;
  let features = new Float32Array(0);
  const { width, batch } = encoder;
  for await (const { images, indices } of readableImages(source, batch, skipped)) {
    signal?.throwIfAborted();
    progress(() => `features of ${source.name}: ${rows.length} of ${source.length} images`);
    const values = await encoder.features(images);
    channels = values.length / images.length;
    const origin = width === null ? undefined : { width, source };
    requireFiniteRows(values, channels, 'features', origin, (row) => indices[row]!);
    if (features.length === 0) features = new Float32Array(source.length * channels);
    features.set(values, rows.length * channels);
    rows.push(...indices);
  }
  if (rows.length === 0) {
    const { path, reason } = skipped[0]!;
    throw new SlimclrError(`no image of ${source.name} can be read: the first is ${path} (${reason})`);
  }
  const { labels, classes } = source;
  return {
    names: rows.map((index) => source.nameOf(index)),
    classes: labels && classes && rows.map((index) => classes[labels[index]!] ?? ''),
    channels,
    features: features.subarray(0, rows.length * channels),
    skipped: skipped.sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
}

/** Images and their indices in a source. */
export interface ReadImages {
  readonly images: readonly RawImage[];
  readonly indices: readonly number[];
}

/** The images of a source that can be decoded, at most `batch` at a time; files of the others are added to `skipped`. */
export async function* readableImages(
  source: ImageSource,
  batch: number,
  skipped: SkippedFile[],
): AsyncGenerator<ReadImages, void, undefined> {
  for (let start = 0; start < source.length; start += batch) {
    const count = Math.min(batch, source.length - start);
    const images = new Array<RawImage | undefined>(count);
    await forEachConcurrently(count, decodeLanes, async (i) => {
      images[i] = await readOrSkip(source, start + i, skipped);
    });
    const read = images.flatMap((image, i) => (image ? [{ image, index: start + i }] : []));
    if (read.length === 0) continue;
    yield { images: read.map(({ image }) => image), indices: read.map(({ index }) => index) };
  }
}

/** An image and no other in its place; undefined, and its file among the skipped ones, where it cannot be decoded. */
async function readOrSkip(
  source: ImageSource,
  index: number,
  skipped: SkippedFile[],
): Promise<RawImage | undefined> {
  try {
    return await readItself(source.store, index);
  } catch (error) {
    skipped.push({ path: source.nameOf(index), reason: reasonOf(error) });
    return undefined;
  }
}
