import { snappyUncompress } from 'hyparquet';
import { readFilePart, type FileVersion } from '../shards/openFiles.js';
import { decodePage, type DecodedPage, type ParquetColumn } from './decodePage.js';
import { fragmentBytes, snappyFragments } from './snappyFragments.js';

/** Bytes of a file. */
export interface Part {
  readonly offset: number;
  readonly bytes: number;
}

/** A page of images. */
export interface ImagePage {
  readonly file: FileVersion;
  readonly column: ParquetColumn;
  readonly data: Part;
  /** That of its values; null where they are in the page itself. */
  readonly dictionary: Part | null;
}

/**
 * Where the images of a page lie, known since it was first decoded: from then on an image is read without the page. A
 * few bytes an image.
 */
interface PageLayout {
  /** [rows], in what the page is made of; -1 for a row without an image. */
  readonly starts: Float64Array;
  /** [rows], bytes. */
  readonly lengths: Uint32Array;
  /** Of the file, where the page's content begins, or each of its fragments does, and the end; null where it is decoded whole. */
  readonly pieces: {
    readonly kind: 'plain' | 'snappy';
    readonly offsets: Float64Array;
    readonly bytes: number;
  } | null;
}

const layouts = new Map<string, Promise<PageLayout>>();

/** Pages that are decoded whole and kept, those used last at the end, and their bytes. */
const wholePages = new Map<string, DecodedPage>();
const keptBytes = 2 ** 26;

/** The image of a row of a page, in memory of its own. Rejects with an Error that says why there is none. */
export async function readPageImage(page: ImagePage, row: number): Promise<Buffer> {
  const key = `${page.file.path}\0${page.file.version}\0${page.data.offset}`;
  let layout = layouts.get(key);
  if (!layout) {
    layout = layoutOf(page);
    layouts.set(key, layout);
    // Another try reads it again.
    layout.catch(() => layouts.delete(key));
  }
  const { starts, lengths, pieces } = await layout;
  const [start, length] = [starts[row]!, lengths[row]!];
  if (start < 0) throw new Error('the row holds no image');
  if (pieces === null) return Buffer.from((await wholePage(key, page)).values[row]!);
  const { offsets } = pieces;
  if (pieces.kind === 'plain') return readFilePart(page.file, offsets[0]! + start, length);
  const first = Math.floor(start / fragmentBytes);
  const end = Math.floor((start + Math.max(length, 1) - 1) / fragmentBytes) + 1;
  const compressed = await readFilePart(page.file, offsets[first]!, offsets[end]! - offsets[first]!);
  const from = first * fragmentBytes;
  const output = Buffer.allocUnsafeSlow(Math.min(end * fragmentBytes, pieces.bytes) - from);
  // In the place of the stream's length, which nobody reads.
  snappyUncompress(Buffer.concat([Buffer.of(0), compressed]), output);
  return output.subarray(start - from, start - from + length);
}

/** The values of a page. */
export async function decodedPage({ file, column, data, dictionary }: ImagePage): Promise<DecodedPage> {
  const { page } = await decodedParts({ file, column, data, dictionary });
  return page;
}

async function decodedParts({ file, column, data, dictionary }: ImagePage) {
  const read = ({ offset, bytes }: Part) => readFilePart(file, offset, bytes);
  const values = dictionary && (await read(dictionary));
  const known = values && decodePage(column, values, snappyUncompress);
  const content = await read(data);
  const page = decodePage(column, content, snappyUncompress, known ?? undefined);
  return { page, content, known, values };
}

async function layoutOf(page: ImagePage): Promise<PageLayout> {
  const { page: decoded, content, known, values } = await decodedParts(page);
  // What the values lie in: the page, or the dictionary's.
  const isIn = (buffer: ArrayBufferLike) =>
    decoded.values.every((value) => value === null || value.buffer === buffer);
  const holders = [
    { part: page.data, bytes: content, snappy: decoded.snappy },
    ...(known && values ? [{ part: page.dictionary!, bytes: values, snappy: known.snappy }] : []),
  ];
  const starts = new Float64Array(decoded.values.length).fill(-1);
  const lengths = Uint32Array.from(decoded.values, (value) => value?.length ?? 0);
  for (const { part, bytes, snappy } of holders) {
    const whole = snappy?.output ?? bytes;
    if (!isIn(whole.buffer)) continue;
    const fragments = snappy && snappyFragments(bytes.subarray(snappy.start, snappy.end), whole.length);
    if (snappy && !fragments) break;
    for (const [row, value] of decoded.values.entries()) {
      if (value) starts[row] = value.byteOffset - whole.byteOffset;
    }
    const offsets = Float64Array.from(
      fragments ?? [0],
      (offset) => part.offset + (snappy?.start ?? 0) + offset,
    );
    return { starts, lengths, pieces: { kind: snappy ? 'snappy' : 'plain', offsets, bytes: whole.length } };
  }
  for (const [row, value] of decoded.values.entries()) if (value) starts[row] = 0;
  return { starts, lengths, pieces: null };
}

async function wholePage(key: string, page: ImagePage): Promise<DecodedPage> {
  const kept = wholePages.get(key);
  const decoded = kept ?? (await decodedPage(page));
  wholePages.delete(key);
  wholePages.set(key, decoded);
  let bytes = [...wholePages.values()].reduce((sum, each) => sum + sizeOf(each), 0);
  for (const [other, each] of wholePages) {
    if (bytes <= keptBytes || other === key) break;
    bytes -= sizeOf(each);
    wholePages.delete(other);
  }
  return decoded;
}

function sizeOf({ values }: DecodedPage): number {
  return values.reduce((sum, value) => sum + (value?.length ?? 0), 0);
}
