import { counted } from '../counted.js';
import { UsageError } from '../errors.js';
import { printable } from '../printable.js';
import { labelsIn, orderedClasses } from './classNames.js';
import { labelPath, type LabelFile } from './labelFile.js';
import type { ImageSource } from './source.js';

/** What a label file says of the images of a source. */
export interface FileLabels {
  /** Index into `classes` of each image; -1: none. */
  readonly labels: Int32Array;
  /** Numbers in their order where all are integers, else by code unit. */
  readonly classes: readonly string[];
  /** Of the images that the file names, the share that is there. */
  readonly found: number;
  /** What a person should know of it, one line each. */
  readonly notices: readonly string[];
}

export interface FileLabelsOptions {
  /** Whether the source has all images of its place: else it is not known which files are missing. */
  readonly isWhole: boolean;
}

/** Files that are named in a line. */
const namedFiles = 3;

/**
 * The labels of a source's images by their names: of the very name, in a shard of the name behind that of the shard, or
 * else of either without its extension, as lists of identifiers and keys of shards have it. Paths in the file are
 * relative to where the images come from, or absolute ones in it. Null where none of the images has a label.
 */
export function labelsOf(
  source: ImageSource,
  { path: file, labels: byPath, firstRow }: LabelFile,
  { isWhole }: FileLabelsOptions,
): FileLabels | null {
  const { store } = source;
  const root = `${labelPath(store.images.root).replace(/\/+$/, '')}/`;
  const known = relativePaths(byPath, root);
  const found = new Set<string>();
  const names: (string | null)[] = [];
  for (let index = 0; index < source.length; index++) {
    const name = relativePath(labelPath(source.nameOf(index)), root);
    const path = spellings(name).find((spelling) => known.has(spelling));
    const label = path === undefined ? undefined : known.get(path);
    if (path !== undefined) found.add(path);
    names.push(label ?? null);
  }
  const classes = orderedClasses(names);
  if (classes.length === 0) return null;
  const labels = labelsIn(classes, names);
  const notices: string[] = [];
  const unlabelled = names.filter((name) => name === null).length;
  if (unlabelled > 0) {
    notices.push(`${file}: ${unlabelled} of ${counted(source.length, 'image')} without a label`);
  }
  if (isWhole) {
    // What cannot be read is told as that, and a first row that no image has is a header.
    const skipped = new Set(source.skipped.map(({ path }) => labelPath(path)));
    const missing = [...known.keys()].filter(
      (path) => !found.has(path) && !skipped.has(path) && path !== firstRow,
    );
    if (missing.length > 0) {
      const more = missing.length > namedFiles ? ', ...' : '';
      const first = missing.slice(0, namedFiles).map(printable).join(', ');
      notices.push(
        `${file}: ${counted(missing.length, 'label')} of files that are not among the images: ${first}${more}`,
      );
    }
  }
  return { labels, classes, found: found.size / known.size, notices };
}

/** Of a file that labels none of the images that it is meant for. */
export function noneLabelled(source: ImageSource, { path, labels }: LabelFile): UsageError {
  const [first] = labels.keys();
  return new UsageError(
    `data.labels: ${path} has no label of an image of ${source.name}; it names ${first}, an image is ` +
      `${source.nameOf(0)}; accepted: paths relative to data.source`,
  );
}

/** Paths below `root`, which ends with a slash, relative to it. */
function relativePaths(byPath: LabelFile['labels'], root: string): LabelFile['labels'] {
  if (![...byPath.keys()].some((path) => path.startsWith(root))) return byPath;
  return new Map([...byPath].map(([path, label]) => [relativePath(path, root), label]));
}

function relativePath(path: string, root: string): string {
  return path.startsWith(root) ? path.slice(root.length) : path;
}

/** How a file may name an image: in full; in a shard by its name there; either without the extension. */
function spellings(name: string): string[] {
  const inside = /\.tar\/(.+)$/.exec(name)?.[1];
  const names = inside === undefined ? [name] : [name, inside];
  return [...names, ...names.map(withoutExtension)];
}

function withoutExtension(name: string): string {
  return name.replace(/\.[^./]+$/, '');
}
