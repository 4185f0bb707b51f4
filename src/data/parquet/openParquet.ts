import { createHash } from 'node:crypto';
import { counted } from '../../counted.js';
import { reasonOf, UsageError } from '../../errors.js';
import { printable } from '../../printable.js';
import { labelsIn, orderedClasses } from '../classNames.js';
import { placed } from '../commonFolder.js';
import { hashLines } from '../hashLines.js';
import { contentFingerprint } from '../imageFolder.js';
import { contentBudget } from '../imageFiles.js';
import type { SkippedFile } from '../imageStore.js';
import { packStrings, sharedUint32 } from '../packedStrings.js';
import { select } from '../selection.js';
import { readFilePart } from '../shards/openFiles.js';
import type { OpenedImages, SourceOptions } from '../source.js';
import { throttled } from '../throttled.js';
import type { ImagePage } from './pageLayout.js';
import { openParquetFile, type ParquetFile } from './parquetFile.js';
import type { ParquetImages } from './parquetImages.js';

/** Of a page that is not hashed whole: the first, the middle and the last bytes, as of a file of a folder. */
const sampleBytes = 2 ** 14;

/**
 * Opens the images of Parquet files, as `datasets` of Hugging Face writes them: a column of structs of bytes and path, or
 * of bytes, and one of classes. A file that cannot be used is skipped, and so are rows without an image. `source`: what
 * messages call them.
 * @throws UsageError when no image can be used, for a file that is named twice, and for files whose classes have other names.
 */
export async function openParquet(
  source: string,
  paths: readonly string[],
  { limit = 0, seed = 0, onProgress, signal }: SourceOptions = {},
): Promise<OpenedImages> {
  const progress = throttled(onProgress);
  const seen = new Set<string>();
  const twice = paths.find((path) => seen.size === seen.add(path).size);
  if (twice !== undefined) {
    throw new UsageError(`data source ${source} names ${twice} twice; accepted: each file once`);
  }
  const { root, names } = placed(paths);
  const skipped: SkippedFile[] = [];
  const opened: NamedFile[] = [];
  for (const [i, path] of paths.entries()) {
    signal?.throwIfAborted();
    progress(() => `opening files of ${source}: ${i} of ${paths.length}`);
    const name = names[i]!;
    try {
      opened.push({ name, ...(await openParquetFile(path, signal)) });
    } catch (error) {
      signal?.throwIfAborted();
      skipped.push({ path: name, reason: reasonOf(error) });
    }
  }
  const images = joined(root, opened);
  const usable: number[] = [];
  const missing: SkippedFile[] = [];
  for (const [file, { missing: rows, name, rows: count }] of opened.entries()) {
    const first = images.firsts[file]!;
    const isMissing = new Set(rows);
    for (let row = 0; row < count; row++) if (!isMissing.has(row)) usable.push(first + row);
    for (const row of rows) missing.push({ path: `${name}/${row}`, reason: 'the row holds no image' });
  }
  skipped.push(...missing);
  if (usable.length === 0) throw noImages(source, skipped);

  const { classes, labelOf } = classesOf(source, opened);
  const chosen = select(usable.length, limit, seed).map((position) => usable[position]!);
  const labels = classes && labelsIn(classes, Array.from(chosen, labelOf));
  const lines = await digests(source, opened, progress, signal);
  const fingerprint = contentFingerprint([
    ...lines,
    ...(classes ? [...classes, labels!.join(',')] : []),
    chosen.length === images.rows.at(-1) ? '' : `rows ${chosen.join(',')}`,
  ]);
  const unlabelled = labels?.filter((label) => label < 0).length ?? 0;
  return {
    images,
    selection: chosen,
    labels,
    classes,
    fingerprint,
    earlierFingerprint: null,
    // Of pages not all is read.
    identity: hashLines([fingerprint, ...opened.map(({ version }) => `${version.path}\0${version.version}`)]),
    skipped,
    ignored: null,
    notices: [
      ...(missing.length > 0 ? [`${source}: ${counted(missing.length, 'row')} without an image`] : []),
      ...(unlabelled > 0
        ? [`${source}: ${unlabelled} of ${counted(chosen.length, 'image')} without a label`]
        : []),
    ],
  };
}

type NamedFile = ParquetFile & { readonly name: string };

function joined(root: string, opened: readonly NamedFile[]): ParquetImages {
  const firsts = sharedUint32(opened.length + 1);
  for (const [i, { rows }] of opened.entries()) firsts[i + 1] = firsts[i]! + rows;
  const all = opened.flatMap(({ pages }) => pages);
  const rows = sharedUint32(all.length + 1);
  const pages = new Float64Array(new SharedArrayBuffer(8 * 4 * all.length));
  for (const [i, page] of all.entries()) {
    const { data, dictionary } = page;
    rows[i + 1] = rows[i]! + page.rows;
    pages.set([data.offset, data.bytes, dictionary?.offset ?? 0, dictionary?.bytes ?? 0], 4 * i);
  }
  return {
    kind: 'parquet',
    root,
    paths: packStrings(opened.map(({ version }) => version.path)),
    versions: packStrings(opened.map(({ version }) => version.version)),
    files: packStrings(opened.map(({ name }) => name)),
    columns: opened.map(({ column }) => column),
    firsts,
    rows,
    pages,
  };
}

/** Classes of all files, and the class of each row of them. */
function classesOf(
  source: string,
  opened: readonly NamedFile[],
): { classes: readonly string[] | null; labelOf: (index: number) => string | null } {
  const all = opened.flatMap(({ labels, rows }) => labels ?? new Array<string | null>(rows).fill(null));
  const labelOf = (index: number) => all[index]!;
  const [first, ...others] = opened.filter(({ classes }) => classes !== null);
  if (!first) {
    const classes = orderedClasses(all);
    return { classes: classes.length === 0 ? null : classes, labelOf };
  }
  const other = others.find(({ classes }) => classes!.join('\0') !== first.classes!.join('\0'));
  if (other) {
    const [a, b] = [first, other].map(
      ({ name, classes }) => `${name} (${classes!.slice(0, 3).join(', ')}, ...)`,
    );
    throw new UsageError(
      `${source}: the classes of ${b} are not those of ${a}; accepted: files of one data set`,
    );
  }
  return { classes: first.classes, labelOf };
}

/** A line of each page: its rows, its size, and the SHA-256 of its content, or of parts of it. */
async function digests(
  source: string,
  opened: readonly NamedFile[],
  progress: (message: () => string) => void,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const pages = opened.flatMap(({ pages }) => pages);
  const budget = contentBudget(pages.length);
  const lines: string[] = [];
  for (const [i, page] of pages.entries()) {
    signal?.throwIfAborted();
    progress(() => `reading pages of ${source}: ${i} of ${pages.length}`);
    lines.push(await digest(page, page.rows, budget));
  }
  return lines;
}

async function digest({ file, data, dictionary }: ImagePage, rows: number, budget: number): Promise<string> {
  const hash = createHash('sha256');
  for (const { offset, bytes } of dictionary ? [data, dictionary] : [data]) {
    const places = [0, Math.floor((bytes - sampleBytes) / 2), bytes - sampleBytes];
    const parts = bytes <= budget ? [[0, bytes] as const] : places.map((at) => [at, sampleBytes] as const);
    for (const [at, length] of parts) hash.update(await readFilePart(file, offset + at, length));
  }
  return `${rows}\0${data.bytes}\0${dictionary?.bytes ?? 0}\0${hash.digest('hex')}`;
}

function noImages(source: string, skipped: readonly SkippedFile[]): UsageError {
  const [first] = skipped;
  if (!first) return new UsageError(`no images in ${source}: its files have no rows`);
  const { path, reason } = first;
  return new UsageError(
    `no readable image in ${source}: ${skipped.length} skipped, the first ${printable(path)} (${printable(reason)})`,
  );
}
