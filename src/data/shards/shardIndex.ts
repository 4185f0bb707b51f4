import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { reasonOf } from '../../errors.js';
import { imageExtensions } from '../folderListing.js';
import { readHeader } from '../imageHeader.js';
import type { SkippedFile } from '../imageStore.js';
import { NumberList } from '../numberList.js';
import { stringAt, StringPacker, type PackedStrings } from '../packedStrings.js';
import { rgb8, type PixelFormat } from '../rawImage.js';
import { FileWindow } from './fileWindow.js';
import { sampleName } from './sampleName.js';
import { SampleTable } from './sampleTable.js';
import { blockBytes, tarEntries, type TarEntry } from './tarEntries.js';

/** What a shard holds: where its images are, without their pixels. */
export interface ShardIndex {
  /** [n], names of the image files in the archive, in its order. */
  readonly names: PackedStrings;
  /** [n], where the content of each begins, in blocks of 512 bytes. */
  readonly blocks: Uint32Array;
  /** [n], bytes of each. */
  readonly sizes: Uint32Array;
  /** [n], class of each as an index into `labelNames`; -1 where there is none. */
  readonly labels: Int32Array;
  /** As the files tell them: numbers or names. */
  readonly labelNames: readonly string[];
  /** SHA-256, hexadecimal, of names, sizes, labels and content of the images (`contentSample`). */
  readonly digest: string;
  /** Samples and parts of the archive that cannot be used; '' as a path is the archive itself. */
  readonly skipped: readonly SkippedFile[];
  /** Other files by extension, such as `.txt`, and how many. */
  readonly others: readonly (readonly [extension: string, count: number])[];
}

/** Images of up to 16 KiB are hashed whole, of larger ones the first and the last 4 KiB. */
const wholeBytes = 2 ** 14;
const edgeBytes = 2 ** 12;
/** Longer files that should hold a class are not read. */
const maxLabelBytes = 2 ** 16;
/** Keys without an image that are named one by one; of more, their number is. */
const maxNamedKeys = 10;
/** Entries between two looks at what else is to be done. */
const breath = 512;

export interface IndexOptions {
  /** What the images are going to be decoded to; default `rgb8`. */
  readonly pixels?: PixelFormat;
  /** Told of images as they are found: how many more. */
  readonly onImages?: (count: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads a shard once, from the beginning to the end, and no more of each image than tells what it is. Rejects with the
 * system's Error when it cannot be read.
 */
export async function indexShard(
  file: number,
  size: number,
  { pixels = rgb8, onImages, signal }: IndexOptions = {},
): Promise<ShardIndex> {
  const window = new FileWindow(file, size);
  const builder = new IndexBuilder(window, pixels);
  const entries = tarEntries((offset, length) => window.read(offset, length), size);
  let told = 0;
  const tell = () => {
    onImages?.(builder.count - told);
    told = builder.count;
  };
  for (let count = 1; ; count++) {
    const { done, value } = entries.next();
    if (done) {
      if (value !== null) builder.skip('', foreignKind(window.read(0, blockBytes)) ?? value);
      break;
    }
    const pending = builder.add(value);
    if (pending) await pending;
    if (count % breath !== 0) continue;
    tell();
    await setImmediate();
    signal?.throwIfAborted();
  }
  tell();
  return builder.finish();
}

/** First bytes of what is no tar archive, as text of one byte a character. */
const compressions: readonly (readonly [name: string, start: string])[] = [
  ['gzip', '\x1f\x8b'],
  ['Zstandard', '\x28\xb5\x2f\xfd'],
  ['xz', '\xfd7zXZ\0'],
  ['bzip2', 'BZh'],
  ['LZ4', '\x04\x22\x4d\x18'],
];
const archives: readonly (readonly [name: string, start: string])[] = [
  ['zip', 'PK\x03\x04'],
  ['7z', '7z\xbc\xaf\x27\x1c'],
  ['ar', '!<arch>\n'],
  ['cpio', '0707'],
];

/** What a file is instead of a tar archive; null when that cannot be told by its beginning. */
function foreignKind(beginning: Buffer): string | null {
  const start = beginning.toString('latin1', 0, 16);
  const of = (kinds: typeof archives) => kinds.find(([, mark]) => start.startsWith(mark))?.[0];
  const compression = of(compressions);
  if (compression !== undefined) {
    return `it is compressed (${compression}), so no image can be read by itself; accepted: a tar archive that is not`;
  }
  const archive = of(archives);
  return archive === undefined ? null : `it is an archive of ${archive}; accepted: tar`;
}

class IndexBuilder {
  readonly #names = new StringPacker();
  readonly #blocks = new NumberList(Uint32Array);
  readonly #sizes = new NumberList(Uint32Array);
  /** Sample of each image. */
  readonly #samples = new NumberList(Int32Array);
  readonly #table = new SampleTable();
  readonly #others = new Map<string, number>();
  readonly #skipped: SkippedFile[] = [];
  readonly #hash = createHash('sha256');
  readonly #head = Buffer.allocUnsafe(wholeBytes);

  constructor(
    private readonly window: FileWindow,
    private readonly pixels: PixelFormat,
  ) {}

  /** Images. */
  get count(): number {
    return this.#sizes.length;
  }

  skip(path: string, reason: string): void {
    this.#skipped.push({ path, reason });
  }

  /** A promise where only a decoder can tell whether it is an image. */
  add(entry: TarEntry): Promise<void> | undefined {
    const name = sampleName(entry.name);
    if (!name) return undefined;
    const { key, extension } = name;
    const format = imageExtensions.indexOf(`.${extension}`);
    // Of a link nothing is stored, and folders are linked to as well.
    if (entry.kind === 'link' && format < 0) return undefined;
    const sample = this.#table.sample(key);
    if (format >= 0) return this.#addImage(entry, key, sample, format);
    const isUsed =
      (extension === 'cls' || extension === 'json') &&
      this.#table.addClass(sample, extension, () => this.#text(entry));
    if (!isUsed) this.#countOther(extension);
    return undefined;
  }

  finish(): ShardIndex {
    const table = this.#table;
    this.#skipKeys();
    const names = this.#names.finish();
    const labels = this.#samples.view().map((sample) => table.labelOf(sample));
    const { labelNames } = table;
    for (const [image, label] of labels.entries()) {
      this.#hash.update(`${stringAt(names, image)}\0${this.#sizes.at(image)}\0${labelNames[label] ?? ''}\n`);
    }
    const unused = table.unusedJson;
    if (unused > 0) this.#others.set('.json', unused);
    return {
      names,
      blocks: this.#blocks.view().slice(),
      sizes: this.#sizes.view().slice(),
      labels,
      labelNames,
      digest: this.#hash.digest('hex'),
      skipped: this.#skipped,
      others: [...this.#others].sort(([a], [b]) => (a < b ? -1 : 1)),
    };
  }

  #skipKeys(): void {
    const named: string[] = [];
    let count = 0;
    for (const sample of this.#table.withoutImage()) {
      if (count++ < maxNamedKeys) named.push(this.#table.keyOf(sample));
    }
    if (count > maxNamedKeys) this.skip('', `${count} keys have no image, the first ${named[0]}`);
    else for (const key of named) this.skip(key, 'no image has this key');
  }

  #addImage(entry: TarEntry, key: string, sample: number, format: number): Promise<void> | undefined {
    const { name, offset, size } = entry;
    const first = this.#table.addImage(sample, format);
    if (first !== null) {
      // In another format it is one more file of the sample; the same name again is a mistake.
      if (first !== format) this.#countOther(imageExtensions[format]!.slice(1));
      else this.skip(name, `there is an image of the key ${key} before it, which is used`);
      return undefined;
    }
    const fault = faultOf(entry, this.window.size);
    if (fault !== null) return void this.skip(name, fault);
    const head = this.#head.subarray(0, size <= wholeBytes ? size : edgeBytes);
    this.window.read(offset, head.length).copy(head);
    try {
      const header = readHeader(
        (at, length) =>
          Math.min(at + length, size) <= head.length
            ? head.subarray(at, at + length)
            : this.window.read(offset + at, Math.max(0, Math.min(length, size - at))),
        this.pixels,
      );
      if (!header) return this.#ask(entry, sample);
    } catch (error) {
      return void this.skip(name, reasonOf(error));
    }
    this.#use(entry, sample, head);
    return undefined;
  }

  async #ask(entry: TarEntry, sample: number): Promise<void> {
    const { name, offset, size } = entry;
    const content = Buffer.from(this.window.read(offset, size));
    try {
      // The decoder takes as long to load as a thousand images.
      await (await import('../imageDecoder.js')).askSharp(content, this.pixels);
    } catch (error) {
      return this.skip(name, reasonOf(error));
    }
    this.#use(entry, sample, content.subarray(0, size <= wholeBytes ? size : edgeBytes));
  }

  #use({ name, offset, size }: TarEntry, sample: number, head: Buffer): void {
    this.#hash.update(head);
    if (size > wholeBytes) this.#hash.update(this.window.read(offset + size - edgeBytes, edgeBytes));
    this.#names.push(name);
    this.#blocks.push(offset / blockBytes);
    this.#sizes.push(size);
    this.#samples.push(sample);
  }

  /** Of a file that should hold a class; null of one that cannot. */
  #text({ offset, size, kind }: TarEntry): string | null {
    if (kind !== 'file' || size > maxLabelBytes || offset + size > this.window.size) return null;
    return this.window.read(offset, size).toString('utf8');
  }

  #countOther(extension: string): void {
    const name = `.${extension}`;
    this.#others.set(name, (this.#others.get(name) ?? 0) + 1);
  }
}

/** Why the content of an entry cannot be used, if so. */
function faultOf({ offset, size, kind }: TarEntry, end: number): string | null {
  if (kind === 'sparse') return 'is a sparse file; accepted: one stored as it is';
  if (kind === 'link') return 'is a link; accepted: the file itself in the archive';
  if (offset + size > end) return 'the shard ends within it';
  if (size >= 2 ** 32 || offset / blockBytes >= 2 ** 32) return 'is too large';
  return null;
}
