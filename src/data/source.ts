import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { closest, distance } from 'fastest-levenshtein';
import { UsageError } from '../errors.js';
import {
  datasetNames,
  findDataset,
  identityOf,
  loadDataset,
  type Dataset,
  type FetchOptions,
  type DatasetSplit,
} from './dataset.js';
import type { IgnoredFiles } from './folderListing.js';
import { hashLines } from './hashLines.js';
import { describeIgnored, openImageFolder, type ImageFolder } from './imageFolder.js';
import { readImage, type ImageStore, type RawImage, type SkippedFile } from './imageStore.js';
import { select } from './selection.js';

export { select } from './selection.js';
export type { ImageStore, RawImage, SkippedFile } from './imageStore.js';
export type { DatasetSplit } from './dataset.js';

export interface ImageSource {
  /** Of a data set, or the absolute path of a folder. */
  readonly name: string;
  /** Images. */
  readonly length: number;
  /** Index into `classes` of each image. */
  readonly labels: Int32Array | null;
  readonly classes: readonly string[] | null;
  /**
   * What identifies the images wherever they are: a run is not to be resumed on others. Of a named data set, its
   * content. Of a folder, the path in it, the size and the content of every image in use: the whole content of files of
   * up to 1 GiB / images, at least 48 KiB; of larger files 16 KiB at the beginning, the middle and the end, so that a
   * change elsewhere that keeps the size is not noticed. Moving, copying or touching files changes nothing.
   */
  readonly fingerprint: string;
  /** The fingerprint that earlier versions gave a folder, of names and sizes; null for what had none or cannot be known. */
  readonly earlierFingerprint: string | null;
  /**
   * The fingerprint, but strict, as cached features need it: files whose content is not read whole must be in the same
   * place with the same modification and change times, too.
   */
  readonly identity: string;
  /** What a person should know of the images before using them, one line each. */
  readonly notices: readonly string[];
  /** Files that were passed over; grows when a file turns out to be damaged while reading. */
  readonly skipped: readonly SkippedFile[];
  /** What a folder holds beside its images; null for a named data set. */
  readonly ignored: IgnoredFiles | null;
  readonly store: ImageStore;
  /** A damaged file is recorded in `skipped` and replaced by the next readable one of its class. */
  read(index: number): Promise<RawImage>;
}

export interface SourceOptions extends FetchOptions {
  /** Of a named data set; default `train`. A folder has one split, all of it. */
  readonly split?: DatasetSplit;
  /** At most this many images, chosen by the seed; 0, the default, means all. */
  readonly limit?: number;
  readonly seed?: number;
  /** Aborting it ends the opening, within a second, with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Open a data set by name, downloading it if need be, or a folder of images by path.
 * @throws UsageError for a name that is neither, and for a folder without a readable image.
 */
export async function openSource(name: string, options: SourceOptions = {}): Promise<ImageSource> {
  const { limit = 0, seed = 0 } = options;
  const dataset = findDataset(name);
  if (dataset) return openDataset(dataset, limit, seed, options);
  if (existsSync(name)) return openFolder(resolve(name), options);
  if (/[\\/]/.test(name)) {
    throw new UsageError(
      `data source ${name} does not exist; accepted: ${datasetNames.join(', ')} or the path of a folder of images; ` +
        'a run takes the same images at another place, as data.source',
    );
  }
  throw new UsageError(
    `unknown data source '${name}': expected ${datasetNames.join(', ')} or the path of a folder of images${suggestion(name)}`,
  );
}

/** The images of a source at `indices`, in that order. */
export function subset(source: ImageSource, indices: Uint32Array): ImageSource {
  const { labels, store } = source;
  const chosen = labels && Int32Array.from(indices, (index) => labels[index]!);
  const part = (whole: string) => hashLines([whole, `images ${indices.join(',')}`]);
  return makeSource({
    name: source.name,
    labels: chosen,
    classes: source.classes,
    fingerprint: part(source.fingerprint),
    earlierFingerprint: null,
    identity: part(source.identity),
    notices: source.notices,
    ignored: source.ignored,
    skipped: [...source.skipped],
    store:
      store.kind === 'packed'
        ? { ...store, selection: indices.map((index) => store.selection[index]!) }
        : { ...store, files: Array.from(indices, (index) => store.files[index]!), labels: chosen },
  });
}

async function openDataset(
  dataset: Dataset,
  limit: number,
  seed: number,
  options: SourceOptions,
): Promise<ImageSource> {
  const split = options.split ?? 'train';
  const images = await loadDataset(dataset, split, options);
  const count = images.labels.length;
  const selection = select(count, limit, seed);
  const fingerprint = hashLines([identityOf(dataset, split), selectionIdentity(count, limit, seed)]);
  return makeSource({
    name: dataset.name,
    labels: Int32Array.from(selection, (index) => images.labels[index]!),
    classes: dataset.classes,
    fingerprint,
    earlierFingerprint: null,
    identity: fingerprint,
    notices: [],
    ignored: null,
    skipped: [],
    store: { kind: 'packed', images, selection },
  });
}

async function openFolder(root: string, options: SourceOptions): Promise<ImageSource> {
  const folder = await openImageFolder(root, options);
  const { files, labels, classes, fingerprint, earlierFingerprint, identity, skipped } = folder;
  return makeSource({
    name: root,
    labels,
    classes,
    fingerprint,
    earlierFingerprint,
    identity,
    notices: noticesOf(folder),
    ignored: folder.ignored,
    skipped,
    store: { kind: 'folder', root, files, labels },
  });
}

function noticesOf({ root, ignored }: ImageFolder): string[] {
  // Hidden files are meant to be passed over.
  const passedOver = describeIgnored({ ...ignored, hidden: 0 });
  return passedOver === null ? [] : [`${root}: not used are ${passedOver}`];
}

function makeSource(
  parts: Omit<ImageSource, 'length' | 'read' | 'skipped'> & { skipped: SkippedFile[] },
): ImageSource {
  const { store, skipped } = parts;
  const record = (file: SkippedFile) => {
    if (!skipped.some(({ path }) => path === file.path)) skipped.push(file);
  };
  return {
    ...parts,
    length: store.kind === 'folder' ? store.files.length : store.selection.length,
    read: (index) => readImage(store, index, { onUnreadable: record }),
  };
}

/** Empty when all images are in use: the seed does not matter then. */
function selectionIdentity(count: number, limit: number, seed: number): string {
  return limit === 0 || limit >= count ? '' : `${limit} of ${count} by seed ${seed}`;
}

function suggestion(name: string): string {
  const nearest = closest(name, [...datasetNames]);
  return distance(name, nearest) <= 3 ? `; did you mean ${nearest}?` : '';
}
