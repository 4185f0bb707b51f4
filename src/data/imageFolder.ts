import { realpath } from 'node:fs/promises';
import { UsageError } from '../errors.js';
import { imageExtensions, listFolder, type FolderListing, type IgnoredFiles } from './folderListing.js';
import { hashLines } from './hashLines.js';
import { contentBudget } from './imageFiles.js';
import type { SkippedFile } from './imageStore.js';
import { rgb8, type PixelFormat } from './rawImage.js';
import { scanFiles, type Inspection } from './scanFiles.js';
import { selectionOrder } from './selection.js';
import { throttled } from './throttled.js';

/** Begins the fingerprints of folders that are made of the images' content. */
const contentMark = '2-';

/** A fingerprint that is made of lines that tell of the images' content. */
export function contentFingerprint(lines: Iterable<string>): string {
  return `${contentMark}${hashLines(lines)}`;
}

/** Whether a folder's fingerprint is made of its images' content; those of earlier versions are of names and sizes. */
export function isOfContent(fingerprint: string): boolean {
  return fingerprint.startsWith(contentMark);
}

/** Files that are opened and in use. */
export interface OpenedFiles {
  /** Paths, relative to where they come from, in the order in which they were listed. */
  readonly files: readonly string[];
  /** Where each of them stands among those that were listed, and where those do that cannot be used. */
  readonly chosen: Uint32Array;
  readonly refused: readonly number[];
  /** `ImageSource.fingerprint`, `.earlierFingerprint` and `.identity`. */
  readonly fingerprint: string;
  readonly earlierFingerprint: string | null;
  readonly identity: string;
  /** Files that look like images by name and are none that can be used. */
  readonly skipped: SkippedFile[];
}

/** Its files are sorted by code unit. */
export interface ImageFolder extends OpenedFiles {
  readonly root: string;
  /** First path component of each file as an index into `classes`; null when a file lies in `root` itself. */
  readonly labels: Int32Array | null;
  readonly classes: readonly string[] | null;
  readonly ignored: IgnoredFiles;
}

export interface FolderOptions {
  /** At most this many images, chosen by the seed; 0, the default, means all. */
  readonly limit?: number;
  readonly seed?: number;
  /** What the images are going to be decoded to; default `rgb8`. */
  readonly pixels?: PixelFormat;
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
  const progress = throttled(options.onProgress);
  const listing = await listFolder(root, {
    onFolder: (found) => progress(() => `looking for images in ${root}: ${found} found`),
    signal: options.signal,
  });
  const { files: listed, ignored } = listing;
  if (listed.length + listing.skipped.length === 0) throw noImages(root, listing);
  const opened = await openFiles(root, listing, options);
  const isRefused = new Set(opened.refused);
  const usable = listed.filter((_, index) => !isRefused.has(index));
  return { root, ...opened, ...labelsOf(opened.files, usable), ignored };
}

type UsedFile = Extract<Inspection, { reason: null }>;

/**
 * Choose among files, paths relative to `root` or absolute ones, as `openImageFolder` does, and open them. `from` is what
 * messages say they are of; default: `root`.
 * @throws UsageError when none can be used.
 */
export async function openFiles(
  root: string,
  listing: Pick<FolderListing, 'files' | 'skipped'>,
  { from = root, ...options }: FolderOptions & { readonly from?: string },
): Promise<OpenedFiles> {
  const { limit = 0, seed = 0, pixels = rgb8, signal } = options;
  const progress = throttled(options.onProgress);
  const { files: listed } = listing;
  const order = selectionOrder(listed.length, limit, seed);
  const wanted = limit === 0 ? listed.length : Math.min(limit, listed.length);
  const budget = contentBudget(wanted);
  const used = new Map<number, UsedFile>();
  const refused = new Map<number, string>();
  for (let next = 0; used.size < wanted && next < order.length;) {
    const candidates = order.subarray(next, next + wanted - used.size);
    next += candidates.length;
    const before = used.size + refused.size;
    const onFiles = (done: number) =>
      progress(() => `opening images of ${from}: ${before + done} of ${wanted + refused.size}`);
    const paths = Array.from(candidates, (index) => listed[index]!);
    const inspections = await scanFiles(root, paths, { budget, pixels }, { onFiles, signal });
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
      `no readable image in ${from}: ${skipped.length} skipped, the first ${path} (${reason})`,
    );
  }

  const chosen = Uint32Array.from(used.keys()).sort();
  const files = Array.from(chosen, (index) => listed[index]!);
  const lines = function* (line: (fact: UsedFile) => string | null): Generator<string> {
    for (const index of chosen) {
      const told = line(used.get(index)!);
      if (told !== null) yield `${listed[index]!}\0${told}`;
    }
  };
  const fingerprint = contentFingerprint(lines(({ size, digest }) => `${size}\0${digest}`));
  const isStamped = chosen.some((index) => used.get(index)!.stamp !== null);
  return {
    files,
    chosen,
    refused: [...refused.keys()],
    fingerprint,
    // The last line told the choice of a limit.
    earlierFingerprint:
      wanted === listed.length
        ? hashLines(
            joined(
              lines(({ size }) => `${size}`),
              [''],
            ),
          )
        : null,
    identity: isStamped
      ? hashLines(
          joined(
            [fingerprint, await realpath(root)],
            lines(({ stamp }) => stamp),
          ),
        )
      : fingerprint,
    skipped,
  };
}

function* joined(...parts: readonly Iterable<string>[]): Generator<string> {
  for (const part of parts) yield* part;
}

/** What is passed over in a folder, in one line; null when nothing is. */
export function describeIgnored({ extensions, folders, hidden, others }: IgnoredFiles): string | null {
  const parts: string[] = [];
  if (extensions.size > 0) parts.push(`images of formats that are not decoded (${listCounts(extensions)})`);
  if (folders.size > 0) parts.push(`system folders (${listCounts(folders)})`);
  if (others && others.size > 0) parts.push(`other files of samples (${listCounts(others)})`);
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
