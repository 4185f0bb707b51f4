import { readFile, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { reasonOf, SlimclrError, UsageError } from '../errors.js';
import { imageExtensions, listFolder, type FolderListing, type IgnoredFiles } from './folderListing.js';
import { hashLines } from './hashLines.js';
import { decodeWithSharp } from './imageDecoder.js';
import { contentBudget } from './imageFiles.js';
import type { RawImage, ReadOptions, SkippedFile } from './imageStore.js';
import { decodeOrdinaryJpeg } from './jpeg.js';
import { scanFiles, type Inspection } from './scanFiles.js';
import { selectionOrder } from './selection.js';
import { throttled } from './throttled.js';

/** Begins the fingerprints of folders that are made of the images' content. */
const contentMark = '2-';

/** Whether a folder's fingerprint is made of its images' content; those of earlier versions are of names and sizes. */
export function isOfContent(fingerprint: string): boolean {
  return fingerprint.startsWith(contentMark);
}

export interface ImageFolder {
  readonly root: string;
  /** Paths relative to `root` with forward slashes, sorted by code unit. */
  readonly files: readonly string[];
  /** First path component of each file as an index into `classes`; null when a file lies in `root` itself. */
  readonly labels: Int32Array | null;
  readonly classes: readonly string[] | null;
  /** `ImageSource.fingerprint`, `.earlierFingerprint` and `.identity`. */
  readonly fingerprint: string;
  readonly earlierFingerprint: string | null;
  readonly identity: string;
  /** Files that look like images by name and are none that can be used. */
  readonly skipped: SkippedFile[];
  readonly ignored: IgnoredFiles;
}

export interface FolderOptions {
  /** At most this many images, chosen by the seed; 0, the default, means all. */
  readonly limit?: number;
  readonly seed?: number;
  /** Told how far it is, about twice a second. */
  readonly onProgress?: ((message: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Find the images below `root`, at any depth, choose among them, and open each of the chosen ones once: to read its
 * header and to hash its content. Files whose names start with a dot are ignored; links are followed.
 *
 * The seed puts all files that are images by name in an order; the first `limit` of them that can be used are taken. So
 * a file that cannot is replaced by the next in that order, whatever the timing, and others are not opened.
 * @throws UsageError when `root` is not a folder or holds no readable image.
 */
export async function openImageFolder(root: string, options: FolderOptions = {}): Promise<ImageFolder> {
  const { limit = 0, seed = 0, signal } = options;
  const progress = throttled(options.onProgress);
  const listing = await listFolder(root, {
    onFolder: (found) => progress(() => `looking for images in ${root}: ${found} found`),
    signal,
  });
  const { files: listed, ignored } = listing;
  if (listed.length + listing.skipped.length === 0) throw noImages(root, listing);

  const order = selectionOrder(listed.length, limit, seed);
  const wanted = limit === 0 ? listed.length : Math.min(limit, listed.length);
  const budget = contentBudget(wanted);
  const used = new Map<number, Extract<Inspection, { reason: null }>>();
  const refused = new Map<number, string>();
  for (let next = 0; used.size < wanted && next < order.length;) {
    const candidates = order.subarray(next, next + wanted - used.size);
    next += candidates.length;
    const before = used.size + refused.size;
    const onFiles = (done: number) =>
      progress(() => `opening images of ${root}: ${before + done} of ${wanted + refused.size}`);
    const paths = Array.from(candidates, (index) => listed[index]!);
    const inspections = await scanFiles(root, paths, budget, { onFiles, signal });
    for (const [i, inspection] of inspections.entries()) {
      if (inspection.reason === null) used.set(candidates[i]!, inspection);
      else refused.set(candidates[i]!, inspection.reason);
    }
  }
  const skipped = [
    ...listing.skipped,
    ...Array.from(refused, ([index, reason]) => ({ path: listed[index]!, reason })),
  ].sort((a, b) => (a.path < b.path ? -1 : 1));
  if (used.size === 0) {
    const { path, reason } = skipped[0]!;
    throw new UsageError(
      `no readable image in ${root}: ${skipped.length} skipped, the first ${path} (${reason})`,
    );
  }

  const chosen = Uint32Array.from(used.keys()).sort();
  const files = Array.from(chosen, (index) => listed[index]!);
  const facts = Array.from(chosen, (index) => used.get(index)!);
  const fingerprint = `${contentMark}${hashLines(files.map((file, i) => `${file}\0${facts[i]!.size}\0${facts[i]!.digest}`))}`;
  const stamped = files.flatMap((file, i) =>
    facts[i]!.stamp === null ? [] : [`${file}\0${facts[i]!.stamp}`],
  );
  const sizes = files.map((file, i) => `${file}\0${facts[i]!.size}`);
  return {
    root,
    files,
    ...labelsOf(
      files,
      listed.filter((_, index) => !refused.has(index)),
    ),
    fingerprint,
    // The last line told the choice of a limit.
    earlierFingerprint: wanted === listed.length ? hashLines([...sizes, '']) : null,
    identity: stamped.length === 0 ? fingerprint : hashLines([fingerprint, await realpath(root), ...stamped]),
    skipped,
    ignored,
  };
}

/**
 * Decode image `index` and call `use` with it. A file that fails is reported to `onUnreadable` and replaced by the next one of the
 * same class (cyclically), so one bad file does not end a long run and the result is the same every time.
 * @throws SlimclrError when no file of the class can be decoded.
 */
export async function useFolderImage<T>(
  folder: Pick<ImageFolder, 'root' | 'files' | 'labels'>,
  index: number,
  { onUnreadable, memory }: ReadOptions,
  use: (image: RawImage) => T,
): Promise<T> {
  const { root, files, labels } = folder;
  let lastError: unknown;
  for (let offset = 0; offset < files.length; offset++) {
    const candidate = (index + offset) % files.length;
    if (labels && labels[candidate] !== labels[index]) continue;
    const path = files[candidate]!;
    let image: RawImage;
    try {
      const file = await readFile(join(root, path));
      image = decodeOrdinaryJpeg(file, memory) ?? (await decodeWithSharp(file));
    } catch (error) {
      lastError = error;
      onUnreadable({ path, reason: reasonOf(error) });
      continue;
    }
    // Nothing may be awaited since decoding: another file could be decoded into the same memory meanwhile.
    return use(image);
  }
  throw new SlimclrError(`no image in ${root} can stand in for ${files[index]}: ${reasonOf(lastError)}`, {
    cause: lastError,
  });
}

/** What is passed over in a folder, in one line; null when nothing is. */
export function describeIgnored({ extensions, folders, hidden }: IgnoredFiles): string | null {
  const parts: string[] = [];
  if (extensions.size > 0) parts.push(`images of formats that are not decoded (${listCounts(extensions)})`);
  if (folders.size > 0) parts.push(`system folders (${listCounts(folders)})`);
  if (hidden > 0) parts.push(`hidden images (${hidden})`);
  return parts.length === 0 ? null : parts.join(', ');
}

function listCounts(counts: ReadonlyMap<string, number>): string {
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, count]) => `${count} ${name}`)
    .join(', ');
}

function noImages(root: string, { ignored }: FolderListing): UsageError {
  const found = describeIgnored(ignored);
  return new UsageError(
    `no images in ${root}: expected files ending in ${imageExtensions.join(', ')}` +
      (found === null ? '' : `; passed over: ${found}`),
  );
}

/** Classes of `all` files that can be used, and the labels of some of them. */
function labelsOf(files: readonly string[], all: readonly string[]): Pick<ImageFolder, 'labels' | 'classes'> {
  if (all.some((file) => !file.includes('/'))) return { labels: null, classes: null };
  const classOf = (file: string) => file.slice(0, file.indexOf('/'));
  const classes = [...new Set(all.map(classOf))].sort();
  const index = new Map(classes.map((name, label) => [name, label]));
  return { labels: Int32Array.from(files, (file) => index.get(classOf(file))!), classes };
}
