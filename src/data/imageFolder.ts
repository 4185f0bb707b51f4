import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import sharp from 'sharp';
import { SlimclrError, UsageError } from '../errors.js';
import { forEachConcurrently } from './concurrency.js';
import type { RawImage, ReadOptions, SkippedFile } from './imageStore.js';
import { decodeOrdinaryJpeg } from './jpeg.js';

/** File name extensions, lower case, that count as images. */
export const imageExtensions: readonly string[] = [
  '.jpg',
  '.jpeg',
  '.png',
  '.webp',
  '.gif',
  '.avif',
  '.tif',
  '.tiff',
];

/** Files whose headers are read at the same time: mostly waiting for the disk. */
const headerLanes = 16;

export interface ImageFolder {
  readonly root: string;
  /** Paths relative to `root` with forward slashes, sorted by code unit. */
  readonly files: readonly string[];
  /** Bytes of each file. */
  readonly sizes: readonly number[];
  /** First path component of each file as an index into `classes`; null when a file lies in `root` itself. */
  readonly labels: Int32Array | null;
  readonly classes: readonly string[] | null;
  /** Files that look like images by name and are none. */
  readonly skipped: SkippedFile[];
}

/**
 * Find the images below `root`, at any depth, and read their headers. Files whose names start with a dot are
 * ignored; links are followed.
 * @throws UsageError when `root` is not a folder or holds no readable image.
 */
export async function scanImageFolder(root: string): Promise<ImageFolder> {
  const skipped: SkippedFile[] = [];
  const found = (await listImages(root, skipped)).sort((a, b) => (a.path < b.path ? -1 : 1));
  if (found.length + skipped.length === 0) {
    throw new UsageError(`no images in ${root}: expected files ending in ${imageExtensions.join(', ')}`);
  }
  const readable = new Array<boolean>(found.length).fill(false);
  await forEachConcurrently(found.length, headerLanes, async (index) => {
    const { path } = found[index]!;
    try {
      await sharp(join(root, path)).metadata();
      readable[index] = true;
    } catch (error) {
      skipped.push({ path, reason: reasonOf(error) });
    }
  });
  skipped.sort((a, b) => (a.path < b.path ? -1 : 1));

  const images = found.filter((_, index) => readable[index]);
  if (images.length === 0) {
    const { path, reason } = skipped[0]!;
    throw new UsageError(
      `no readable image in ${root}: ${skipped.length} skipped, the first ${path} (${reason})`,
    );
  }
  const files = images.map(({ path }) => path);
  return { root, files, sizes: images.map(({ size }) => size), ...labelsOf(files), skipped };
}

/**
 * Decode one file to sRGB as it is meant to be seen: EXIF orientation applied, transparency over white, the
 * first page of an animation.
 * @throws Error of the decoder, also when the file is truncated.
 */
export async function decodeImage(path: string): Promise<RawImage> {
  const file = await readFile(path);
  return decodeOrdinaryJpeg(file) ?? decodeWithSharp(file);
}

async function decodeWithSharp(file: Buffer): Promise<RawImage> {
  // NOTE: decoder warnings do not fail an image: they are common in photographs that decode correctly.
  const { data, info } = await sharp(file, { failOn: 'error' })
    .autoOrient()
    .flatten({ background: 'white' })
    .toColourspace('srgb')
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true });
  if (info.channels !== 3) throw new RangeError(`decoded to ${info.channels} channels instead of 3`);
  return { width: info.width, height: info.height, data };
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

/** First line of a decoder's message. */
export function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.split('\n', 1)[0]!.trim();
}

interface Found {
  readonly path: string;
  readonly size: number;
}

async function listImages(root: string, skipped: SkippedFile[]): Promise<Found[]> {
  const found: Found[] = [];
  // A link may point at a folder that contains it.
  const visited = new Set<string>();
  const visit = async (relative: string): Promise<void> => {
    const absolute = join(root, relative);
    const real = await realpath(absolute);
    if (visited.has(real)) return;
    visited.add(real);
    for (const entry of await readdir(absolute)) {
      if (entry.startsWith('.')) continue;
      const path = relative === '' ? entry : `${relative}/${entry}`;
      const isImage = imageExtensions.includes(extname(entry).toLowerCase());
      try {
        const status = await stat(join(root, path));
        if (status.isDirectory()) await visit(path);
        else if (status.isFile() && isImage) found.push({ path, size: status.size });
      } catch (error) {
        skipped.push({ path, reason: reasonOf(error) });
      }
    }
  };
  try {
    await visit('');
  } catch (cause) {
    throw new UsageError(`${root} is not a folder of images that can be read: ${reasonOf(cause)}`, { cause });
  }
  return found;
}

function labelsOf(files: readonly string[]): Pick<ImageFolder, 'labels' | 'classes'> {
  if (files.some((file) => !file.includes('/'))) return { labels: null, classes: null };
  const names = files.map((file) => file.slice(0, file.indexOf('/')));
  const classes = [...new Set(names)].sort();
  const index = new Map(classes.map((name, label) => [name, label]));
  return { labels: Int32Array.from(names, (name) => index.get(name)!), classes };
}
