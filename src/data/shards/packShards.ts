import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, UsageError } from '../../errors.js';
import { decodeLanes, forEachConcurrently } from '../concurrency.js';
import { findDataset } from '../dataset.js';
import { headerOf } from '../imageDecoder.js';
import type { ImageFormat } from '../imageHeader.js';
import { encodedFile, type SkippedFile } from '../imageStore.js';
import { openSource, type ImageSource, type SourceOptions } from '../source.js';
import { throttled } from '../throttled.js';
import { existsEmpty, fillFolder } from './outputFolder.js';
import { resizeImage, type EncodedImage } from './resizeImage.js';
import { classesFile } from './shardClasses.js';
import { ShardKeys } from './shardKeys.js';
import { ShardWriter } from './shardWriter.js';

export interface PackOptions extends Pick<
  SourceOptions,
  'cacheDirectory' | 'pixels' | 'onProgress' | 'signal'
> {
  /** Pixels of the shorter side that larger images are scaled down to; default: images stay as they are. */
  readonly resize?: number;
  /** Bytes of a shard, about; default 256 MB. A larger image has one of its own. */
  readonly shardBytes?: number;
}

export interface PackedShards {
  readonly shards: number;
  readonly images: number;
  /** Of all shards. */
  readonly bytes: number;
  readonly classes: readonly string[] | null;
  /** What is not in the shards: it cannot be read or, where images are resized, decoded. */
  readonly skipped: readonly SkippedFile[];
  readonly notices: readonly string[];
}

/** Images that are read, and resized, before they are written. */
const batchImages = 32;

/** As webdataset calls them. */
const extensions: Readonly<Record<ImageFormat, string>> = {
  ...{ jpeg: 'jpg', png: 'png', gif: 'gif', webp: 'webp', tiff: 'tif', avif: 'avif' },
};

/**
 * Write the images of a source, in its order, into shards as Python's webdataset reads them: `key.jpg`, the number of
 * its class in `key.cls`, and beside them the names of the classes in `classes.json`. The same images give the same
 * bytes. The folder appears when all is written.
 * @throws UsageError for a source that is no files, and for an output that holds something.
 */
export async function packShards(
  source: string,
  output: string,
  options: PackOptions = {},
): Promise<PackedShards> {
  if (findDataset(source)) {
    throw new UsageError(`${source} is a data set, not files; accepted: a folder of images, or shards`);
  }
  await existsEmpty(output);
  const images = await openSource(source, options);
  return fillFolder(output, (folder) => pack(images, folder, options));
}

async function pack(source: ImageSource, folder: string, options: PackOptions): Promise<PackedShards> {
  const { resize, shardBytes = 256e6, onProgress, signal } = options;
  const { labels, classes } = source;
  const progress = throttled(onProgress);
  const skipped = [...source.skipped];
  const keys = new ShardKeys();
  const writer = new ShardWriter(folder, shardBytes);
  let count = 0;
  try {
    for (let start = 0; start < source.length; start += batchImages) {
      const batch = new Array<EncodedImage | undefined>(Math.min(batchImages, source.length - start));
      await forEachConcurrently(batch.length, decodeLanes, async (i) => {
        try {
          batch[i] = await read(source, start + i, resize);
        } catch (error) {
          skipped.push({ path: source.nameOf(start + i), reason: reasonOf(error) });
        }
      });
      signal?.throwIfAborted();
      for (const [i, image] of batch.entries()) {
        if (!image) continue;
        const label = labels?.[start + i] ?? -1;
        const of = label < 0 ? [] : [['cls', Buffer.from(String(label))] as const];
        const key = keys.keyOf(pathOf(source, start + i));
        await writer.add(key, [...of, [extensions[image.format], image.file]]);
        count++;
      }
      progress(() => `packing ${source.name}: ${start + batch.length} of ${source.length} images`);
    }
    await writer.end();
  } finally {
    await writer.close();
  }
  if (classes) await writeFile(join(folder, classesFile), `${JSON.stringify(classes, null, 1)}\n`);
  const { shards, bytes } = writer;
  return { shards, images: count, bytes, classes, skipped, notices: source.notices };
}

async function read(
  { store }: ImageSource,
  index: number,
  resize: number | undefined,
): Promise<EncodedImage> {
  const file = await encodedFile(store, index);
  if (resize !== undefined) return resizeImage(file, resize, store.pixels);
  const { kind } = await headerOf(file, store.pixels);
  return { file, format: kind };
}

/** The path of an image; of shards that are packed again, the one in its shard. */
function pathOf(source: ImageSource, index: number): string {
  const { store } = source;
  const name = source.nameOf(index);
  return store.images.kind === 'shards' ? name.replace(/^.*?\.tar\//i, '') : name;
}
