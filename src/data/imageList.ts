import { dirname, extname, isAbsolute, normalize, relative, resolve } from 'node:path';
import { decodeText } from '../config/text.js';
import { counted } from '../counted.js';
import { reasonOf, SlimclrError, UsageError } from '../errors.js';
import { readPlainFile } from '../plainFile.js';
import { printable } from '../printable.js';
import { labelsIn, orderedClasses } from './classNames.js';
import { slashed } from './commonFolder.js';
import { imageExtensions } from './folderListing.js';
import { contentFingerprint, openFiles, type FolderOptions, type OpenedFiles } from './imageFolder.js';

/** Extensions of files that list images. */
const listExtensions: readonly string[] = ['.txt', '.lst', '.list'];

/** Missing files that are named in a line. */
const namedFiles = 3;

/** Whether a path is that of a list of images, by its extension. */
export function namesList(path: string): boolean {
  return listExtensions.includes(extname(path).toLowerCase());
}

/** The images of a list, in its order. */
export interface ImageList extends OpenedFiles {
  /** Where relative paths begin. */
  readonly root: string;
  readonly labels: Int32Array | null;
  readonly classes: readonly string[] | null;
  readonly notices: readonly string[];
}

/** A line of a list. */
interface ListedImage {
  /** With forward slashes, without `./`. */
  readonly path: string;
  readonly label: string | null;
}

/**
 * Opens the images that a file lists, UTF-8 or UTF-16 with a byte order mark: a path a line, relative to the list or
 * absolute, and its class behind a tab, or behind white space where the path has an extension of an image. Empty lines and
 * those that begin with `#` are passed over. There are labels where a line has one.
 * @throws UsageError for a list that cannot be read, that names no image, or gives a file two classes.
 */
export async function openImageList(path: string, options: FolderOptions = {}): Promise<ImageList> {
  let text: string;
  try {
    text = decodeText(await readPlainFile(path));
  } catch (cause) {
    const reason = cause instanceof SlimclrError ? cause.message : reasonOf(cause);
    throw new UsageError(`the list of images ${path} cannot be read (${reason})`, { cause });
  }
  const notices: string[] = [];
  const root = dirname(path);
  const { images, repeated } = readList(path, root, text);
  if (images.length === 0) {
    throw new UsageError(`the list of images ${path} names no file; accepted: a path a line`);
  }
  const files = images.map((image) => image.path);
  const opened = await openFiles(root, { files, skipped: [] }, { ...options, from: path });
  const missing = opened.skipped.filter(({ reason }) => reason.startsWith('ENOENT'));
  if (missing.length > 0) {
    const first = missing.slice(0, namedFiles).map((file) => printable(file.path));
    const more = missing.length > namedFiles ? ', ...' : '';
    notices.push(
      `${path}: ${counted(missing.length, 'file')} of ${images.length} missing: ${first.join(', ')}${more}`,
    );
  }
  if (repeated > 0) notices.push(`${path}: ${counted(repeated, 'line')} again of a file that it has already`);
  const unlabelled = images.filter(({ label }) => label === null).length;
  if (unlabelled === images.length) return { ...opened, root, labels: null, classes: null, notices };
  if (unlabelled > 0)
    notices.push(`${path}: ${unlabelled} of ${counted(images.length, 'image')} without a label`);
  const isRefused = new Set(opened.refused);
  const classes = orderedClasses(images.filter((_, i) => !isRefused.has(i)).map(({ label }) => label));
  const labels = labelsIn(
    classes,
    Array.from(opened.chosen, (index) => images[index]!.label),
  );
  const fingerprint = contentFingerprint([opened.fingerprint, ...classes, labels.join(',')]);
  return { ...opened, root, labels, classes, fingerprint, notices };
}

/** @throws UsageError for a file with two classes. */
function readList(list: string, root: string, text: string): { images: ListedImage[]; repeated: number } {
  // By where they are: a path may be written in several ways.
  const known = new Map<string, ListedImage>();
  // Of a million lines a class is one string.
  const labels = new Map<string, string>();
  let repeated = 0;
  for (const [i, line] of text.split(/\r\n?|\n/).entries()) {
    const content = line.trim();
    if (content === '' || content.startsWith('#')) continue;
    const { path, label: own } = readLine(content);
    const label = own && (labels.get(own) ?? own);
    if (label !== null) labels.set(label, label);
    const place = placeOf(root, path);
    const before = known.get(place);
    if (before === undefined) known.set(place, { path, label });
    else if (before.label === label) repeated++;
    else {
      const [a, b] = [before.label, label].map((name) => (name === null ? 'none' : printable(name)));
      throw new UsageError(
        `the list of images ${list}: ${printable(path)} has two classes, ${a} and, in line ${i + 1}, ${b}; accepted: one`,
      );
    }
  }
  return { images: [...known.values()], repeated };
}

/** A plain path that is the same for every spelling of it: relative to `root` where it is there, else absolute. */
function placeOf(root: string, path: string): string {
  if (!isAbsolute(path) && !path.startsWith('..')) return path;
  const place = resolve(root, path);
  return place.startsWith(root) ? relative(root, place) : place;
}

/** A path that ends like an image, as long as possible, and what stands behind it. */
const pathAndLabel = new RegExp(
  `^(.*(?:${imageExtensions.map((extension) => `\\${extension}`).join('|')}))\\s+(.*)$`,
  'i',
);

function readLine(line: string): ListedImage {
  const [, path, label] = /^([^\t]*)\t(.*)$/.exec(line) ?? pathAndLabel.exec(line) ?? [null, line, ''];
  return { path: plainPath(path.trim()), label: label.trim() || null };
}

function plainPath(path: string): string {
  const plain = slashed(normalize(path));
  return isAbsolute(path) ? plain : plain.replace(/^(\.\/)+/, '');
}
