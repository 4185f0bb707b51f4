import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { closest, distance } from 'fastest-levenshtein';
import { UsageError } from '../errors.js';
import { Random } from '../random.js';
import {
  datasetNames,
  findDataset,
  identityOf,
  loadDataset,
  type Dataset,
  type FetchOptions,
  type Split,
} from './dataset.js';
import { scanImageFolder } from './imageFolder.js';
import { readImage, type ImageStore, type RawImage, type SkippedFile } from './imageStore.js';

export type { ImageStore, RawImage, SkippedFile } from './imageStore.js';
export type { Split } from './dataset.js';

export interface ImageSource {
  readonly name: string;
  /** Images. */
  readonly length: number;
  /** Index into `classes` of each image. */
  readonly labels: Int32Array | null;
  readonly classes: readonly string[] | null;
  /** SHA-256, hexadecimal, of what identifies the images: a run is not to be resumed on others. */
  readonly fingerprint: string;
  /** What a person should know of the images before using them, one line each. */
  readonly notices: readonly string[];
  /** Files that were passed over; grows when a file turns out to be damaged while reading. */
  readonly skipped: readonly SkippedFile[];
  readonly store: ImageStore;
  /** A damaged file is recorded in `skipped` and replaced by the next readable one of its class. */
  read(index: number): Promise<RawImage>;
}

export interface SourceOptions extends FetchOptions {
  /** Of a named data set; default `train`. A folder has one split, all of it. */
  readonly split?: Split;
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
  if (existsSync(name)) return openFolder(name, limit, seed);
  throw new UsageError(
    `unknown data source '${name}': expected ${datasetNames.join(', ')} or the path of a folder of images${suggestion(name)}`,
  );
}

/** The images of a source at `indices`, in that order. */
export function subset(source: ImageSource, indices: Uint32Array): ImageSource {
  const { labels, store } = source;
  const chosen = labels && Int32Array.from(indices, (index) => labels[index]!);
  return makeSource({
    name: source.name,
    labels: chosen,
    classes: source.classes,
    fingerprint: fingerprintOf([source.fingerprint, `images ${indices.join(',')}`]),
    notices: source.notices,
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
  return makeSource({
    name: dataset.name,
    labels: Int32Array.from(selection, (index) => images.labels[index]!),
    classes: dataset.classes,
    fingerprint: fingerprintOf([identityOf(dataset, split), selectionIdentity(count, limit, seed)]),
    notices: [],
    skipped: [],
    store: { kind: 'packed', images, selection },
  });
}

async function openFolder(root: string, limit: number, seed: number): Promise<ImageSource> {
  const folder = await scanImageFolder(root);
  const count = folder.files.length;
  const selection = select(count, limit, seed);
  const files = Array.from(selection, (index) => folder.files[index]!);
  const labels = folder.labels && Int32Array.from(selection, (index) => folder.labels![index]!);
  const content = folder.files.map((file, index) => `${file}\0${folder.sizes[index]}`);
  return makeSource({
    name: root,
    labels,
    classes: folder.classes,
    fingerprint: fingerprintOf([...content, selectionIdentity(count, limit, seed)]),
    notices: [],
    skipped: folder.skipped,
    store: { kind: 'folder', root, files, labels },
  });
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

/** First word of the name of the random stream that chooses a subset. */
const selectionStream = 0x73656c65;

/** Ascending indices of at most `limit` of `count` images, chosen by the seed; 0 means all. */
export function select(count: number, limit: number, seed: number): Uint32Array {
  if (limit === 0 || limit >= count) return Uint32Array.from({ length: count }, (_, index) => index);
  return new Random(selectionStream, seed).permutation(count).slice(0, limit).sort();
}

/** Empty when all images are in use: the seed does not matter then. */
function selectionIdentity(count: number, limit: number, seed: number): string {
  return limit === 0 || limit >= count ? '' : `${limit} of ${count} by seed ${seed}`;
}

function fingerprintOf(lines: readonly string[]): string {
  const hash = createHash('sha256');
  for (const line of lines) hash.update(`${line}\n`);
  return hash.digest('hex');
}

function suggestion(name: string): string {
  const nearest = closest(name, [...datasetNames]);
  return distance(name, nearest) <= 3 ? `; did you mean ${nearest}?` : '';
}
