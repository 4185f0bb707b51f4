import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { closest, distance } from 'fastest-levenshtein';
import { UsageError } from '../errors.js';
import { datasetNames, findDataset, identityOf, loadDataset, type Dataset } from './dataset.js';
import { hashLines } from './hashLines.js';
import { describeIgnored, openImageFolder, type ImageFolder } from './imageFolder.js';
import { namesList, openImageList } from './imageList.js';
import { encodedSource, type ImageSource, type SourceOptions } from './imageSource.js';
import { openMix } from './openMix.js';
import { namesParquet, parquetFiles } from './parquet/parquetFolder.js';
import { packStrings } from './packedStrings.js';
import { isColour, rgb8 } from './rawImage.js';
import { select, selectionIdentity } from './selection.js';
import { isShardFolder, openShards } from './shards/openShards.js';
import { foreignSource, namesShards, shardPaths, shardsIn } from './shards/shardNames.js';
import { namesMix } from './sourceMix.js';

export { select } from './selection.js';
export {
  relabelled,
  subset,
  type ImageSource,
  type OpenedImages,
  type SourceOptions,
} from './imageSource.js';
export type { ImageStore, RawImage, SkippedFile } from './imageStore.js';
export type { DatasetSplit } from './dataset.js';
export { rgb8, type PixelFormat } from './rawImage.js';

/**
 * Open a data set by name, downloading it if need be, or a folder, a list, Parquet files or shards of images by path.
 * @throws UsageError for a name that is none of them, and for images of which none can be read.
 */
export async function openSource(name: string, options: SourceOptions = {}): Promise<ImageSource> {
  const { limit = 0, seed = 0 } = options;
  const dataset = findDataset(name);
  if (dataset) return openDataset(dataset, limit, seed, options);
  const path = resolve(name);
  const exists = existsSync(name);
  const foreign = exists && (await stat(path)).isDirectory() ? null : foreignSource(name);
  if (foreign !== null) throw new UsageError(foreign);
  if (exists) return openPath(path, options);
  if (namesShards(name)) return encodedSource(path, await openShards(path, options), options);
  if (namesParquet(name) && /[*?{]/.test(name)) return openRows(path, await shardPaths(path), options);
  if (/[\\/]/.test(name)) {
    throw new UsageError(
      `data source ${name} does not exist; accepted: ${datasetNames.join(', ')}, the path of a folder, a list (.txt) or Parquet files of ` +
        'images, or of shards, such as shards/train-{000..146}.tar; ' +
        'a run takes the same images at another place, as data.source',
    );
  }
  throw new UsageError(
    `unknown data source '${name}': expected ${datasetNames.join(', ')}, the path of a folder, a list (.txt), Parquet files or shards (.tar) of images${suggestion(name)}`,
  );
}

async function openDataset(
  dataset: Dataset,
  limit: number,
  seed: number,
  options: SourceOptions,
): Promise<ImageSource> {
  const { split = 'train', pixels = rgb8 } = options;
  if (!isColour(pixels)) {
    throw new UsageError(
      `${dataset.name} is of grey or RGB, not of ${pixels.channels} channels; accepted: data.channels 1 or 3`,
    );
  }
  const packed = await loadDataset(dataset, split, options);
  const count = packed.labels.length;
  const selection = select(count, limit, seed);
  const fingerprint = hashLines([identityOf(dataset, split), selectionIdentity(count, limit, seed)]);
  return encodedSource(
    dataset.name,
    {
      images: { kind: 'dataset', root: dataset.name, packed },
      selection,
      labels: Int32Array.from(selection, (index) => packed.labels[index]!),
      classes: dataset.classes,
      fingerprint,
      earlierFingerprint: null,
      identity: fingerprint,
      notices: [],
      ignored: null,
      skipped: [],
    },
    options,
  );
}

async function openFolder(root: string, options: SourceOptions): Promise<ImageSource> {
  const folder = await openImageFolder(root, options);
  const { files, ...found } = folder;
  return encodedSource(
    root,
    {
      ...found,
      images: { kind: 'folder', root, files: packStrings(files) },
      notices: noticesOf(folder),
    },
    options,
  );
}

/** The images of an existing folder, or those that a file stands for. */
async function openPath(path: string, options: SourceOptions): Promise<ImageSource> {
  if ((await stat(path)).isDirectory()) {
    const parquet = await parquetFiles(path);
    if (parquet !== null) return openRows(path, parquet, options);
    const areShards = await isShardFolder(path).catch(() => false);
    if (!areShards) return openFolder(path, options);
    return encodedSource(path, await openShards(path, options, await shardsIn(path)), options);
  }
  if (namesList(path)) return openList(path, options);
  if (namesMix(path)) return openMix(path, options, openSource);
  if (namesParquet(path)) return openRows(path, [path], options);
  if (namesShards(path)) return encodedSource(path, await openShards(path, options), options);
  throw new UsageError(
    `data source ${path} is a file; accepted: a folder of images, a list (.txt, .lst, .list), Parquet files (.parquet, .pq), ` +
      'shards (.tar), or several of them (.json)',
  );
}

/** The images of Parquet files. */
async function openRows(
  name: string,
  paths: readonly string[],
  options: SourceOptions,
): Promise<ImageSource> {
  const { openParquet } = await import('./parquet/openParquet.js');
  return encodedSource(name, await openParquet(name, paths, options), options);
}

async function openList(path: string, options: SourceOptions): Promise<ImageSource> {
  const { root, files, ...found } = await openImageList(path, options);
  return encodedSource(
    path,
    {
      ...found,
      images: { kind: 'folder', root, files: packStrings(files) },
      earlierFingerprint: null,
      ignored: null,
    },
    options,
  );
}

function noticesOf({ root, ignored }: ImageFolder): string[] {
  // Hidden files are meant to be passed over.
  const passedOver = describeIgnored({ ...ignored, hidden: 0 });
  return passedOver === null ? [] : [`${root}: not used are ${passedOver}`];
}

function suggestion(name: string): string {
  const nearest = closest(name, [...datasetNames]);
  return distance(name, nearest) <= 3 ? `; did you mean ${nearest}?` : '';
}
