import type { ReadAt } from './imageHeader.js';

/** Tags of TIFF 6.0 that say what an image is. */
export const tags = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  fillOrder: 266,
  stripOffsets: 273,
  orientation: 274,
  samples: 277,
  rowsPerStrip: 278,
  stripBytes: 279,
  planar: 284,
  predictor: 317,
  tileWidth: 322,
  tileHeight: 323,
  tileOffsets: 324,
  tileBytes: 325,
  format: 339,
} as const;

type Tag = keyof typeof tags;

/** Of a file's first image: the values of tags. */
export interface TiffFields {
  readonly littleEndian: boolean;
  /** Empty where the file has none. */
  readonly all: (tag: Tag) => readonly number[];
  readonly first: (tag: Tag, fallback: number) => number;
}

/** Bytes of a value, by field type: BYTE, SHORT, LONG and LONG8; other types do not occur in these tags. */
const typeBytes: Readonly<Record<number, number>> = { 1: 1, 3: 2, 4: 4, 16: 8 };
/** Values of a tag at most: the blocks of the largest images. */
const mostValues = 2 ** 24;

/**
 * Reads tags of the first directory of a TIFF or BigTIFF.
 * @throws RangeError that ends the sentence "the file ..." where it is cut off.
 */
export function readTiffFields(read: ReadAt, wanted: readonly Tag[]): TiffFields {
  const head = read(0, 16);
  const littleEndian = head[0] === 0x49;
  const isBig = head[littleEndian ? 2 : 3] === 43;
  const number = (from: Buffer, offset: number, bytes: number): number => {
    if (offset + bytes > from.length) throw new RangeError('ends within its TIFF header');
    if (bytes === 8) {
      return Number(littleEndian ? from.readBigUInt64LE(offset) : from.readBigUInt64BE(offset));
    }
    return littleEndian ? from.readUIntLE(offset, bytes) : from.readUIntBE(offset, bytes);
  };
  const [pointer, entry, countBytes] = isBig ? [8, 20, 8] : [4, 12, 2];
  const directory = number(head, isBig ? 8 : 4, pointer);
  const count = number(read(directory, countBytes), 0, countBytes);
  const entries = read(directory + countBytes, Math.min(count, 512) * entry);
  const numbers = new Set<number>(wanted.map((tag) => tags[tag]));
  const fields = new Map<number, readonly number[]>();
  for (let at = 0; at + entry <= entries.length; at += entry) {
    const tag = number(entries, at, 2);
    const bytes = typeBytes[number(entries, at + 2, 2)];
    const values = number(entries, at + 4, pointer);
    if (!numbers.has(tag) || bytes === undefined || values > mostValues) continue;
    const inPlace = values * bytes <= pointer;
    const start = at + 4 + pointer;
    const from = inPlace ? entries : read(number(entries, start, pointer), values * bytes);
    fields.set(
      tag,
      Array.from({ length: values }, (_, i) => number(from, (inPlace ? start : 0) + i * bytes, bytes)),
    );
  }
  const all = (tag: Tag) => fields.get(tags[tag]) ?? [];
  return { littleEndian, all, first: (tag, fallback) => all(tag)[0] ?? fallback };
}
