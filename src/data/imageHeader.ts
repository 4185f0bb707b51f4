/** Kinds of files that are decoded, by content. */
export type ImageFormat = 'jpeg' | 'png' | 'gif' | 'webp' | 'tiff' | 'avif';

export interface ImageHeader {
  readonly kind: ImageFormat;
  /** Bits of a sample; 8 where the format has no others. */
  readonly bits: number;
}

/** Bytes of a file from `offset` on: `length` of them, fewer at its end. */
export type ReadAt = (offset: number, length: number) => Buffer;

/** Pixels of the largest image that is decoded: sharp's limit, which keeps a small file from filling the memory. */
export const maxPixels = 0x3fff * 0x3fff;

/**
 * What the first bytes say of an image: 8 or 16 bits a sample, unsigned, of a size that can be decoded. Null when only a
 * decoder can tell (AVIF, unusual JPEG and GIF).
 * @throws RangeError that ends the sentence "the file ..." for what is not decoded.
 */
export function readHeader(read: ReadAt): ImageHeader | null {
  const head = read(0, 64);
  const kind = kindOf(head);
  if (kind === 'png') return pngHeader(head);
  if (kind === 'gif') return sized('gif', head.readUInt16LE(6), head.readUInt16LE(8));
  if (kind === 'webp') return webpHeader(head);
  if (kind === 'jpeg') return jpegHeader(read);
  if (kind === 'tiff') return tiffHeader(read);
  return null;
}

const accepted = 'accepted: JPEG, PNG, WebP, GIF, AVIF or TIFF';
const acceptedSamples = 'accepted: 8 or 16 bits, unsigned';

/** First bytes (latin-1, from an offset) of files that are often named like images, or are some of another kind. */
const foreign: readonly (readonly [name: string, offset: number, ...starts: (string | RegExp)[]])[] = [
  ['a BMP file', 0, 'BM'],
  ['a HEIC file', 4, /^ftyp(hei[cmsx]|hev[cmsx]|mif1|msf1)/],
  ['a JPEG XL file', 0, '\xff\x0a', '\0\0\0\x0cJXL '],
  ['a JPEG 2000 file', 0, '\0\0\0\x0cjP  ', '\xff\x4f\xff\x51'],
  ['a Photoshop file', 0, '8BPS'],
  ['a PDF file', 0, '%PDF'],
  ['a PNM file', 0, /^P[1-7fF]\s/],
  ['an icon', 0, '\0\0\x01\0', '\0\0\x02\0'],
  ['an archive', 0, 'PK\x03\x04', '\x1f\x8b'],
  ['a Git LFS pointer, not the image', 0, 'version https://git-lfs'],
  ['an SVG file or other XML', 0, /^(\xef\xbb\xbf)?\s*<(\?xml|svg)/i],
  ['an HTML page', 0, /^(\xef\xbb\xbf)?\s*<(!doctype|html|head)/i],
];

/** @throws RangeError for every other kind. */
function kindOf(head: Buffer): ImageFormat {
  if (head.length === 0) throw new RangeError('is empty');
  const text = head.toString('latin1');
  const is = (start: string, offset = 0) => text.startsWith(start, offset);
  if (is('\xff\xd8\xff')) return 'jpeg';
  if (is('\x89PNG\r\n\x1a\n')) return complete('png', head, 29);
  if (is('GIF87a') || is('GIF89a')) return complete('gif', head, 10);
  if (is('RIFF') && is('WEBP', 8)) return complete('webp', head, 30);
  if (is('II*\0') || is('MM\0*') || is('II+\0') || is('MM\0+')) return complete('tiff', head, 16);
  // Of the brands of HEIF, mif1 says nothing of the coding; that of AVIF is then among the compatible ones.
  if (is('ftyp', 4) && /avi[fs]/.test(text)) return 'avif';
  const name = foreign.find(([, offset, ...starts]) =>
    starts.some((start) => (typeof start === 'string' ? is(start, offset) : start.test(text.slice(offset)))),
  )?.[0];
  throw new RangeError(name ? `is ${name}; ${accepted}` : `is no image; ${accepted}`);
}

function complete(kind: ImageFormat, head: Buffer, bytes: number): ImageFormat {
  if (head.length < bytes) throw new RangeError(`ends within its ${kind.toUpperCase()} header`);
  return kind;
}

/** Null for a size of 0, which some decoders take from elsewhere. */
function sized(kind: ImageFormat, width: number, height: number, bits = 8): ImageHeader | null {
  if (width === 0 || height === 0) return null;
  if (width * height > maxPixels) {
    throw new RangeError(`has ${width} x ${height} pixels; accepted: at most ${maxPixels}`);
  }
  return { kind, bits };
}

function pngHeader(head: Buffer): ImageHeader | null {
  return sized('png', head.readUInt32BE(16), head.readUInt32BE(20), head[24]);
}

/** Containers of a lossy, a lossless and an extended file. */
function webpHeader(head: Buffer): ImageHeader | null {
  const chunk = head.toString('latin1', 12, 16);
  if (chunk === 'VP8X') return sized('webp', 1 + head.readUIntLE(24, 3), 1 + head.readUIntLE(27, 3));
  if (chunk === 'VP8 ') return sized('webp', head.readUInt16LE(26) & 0x3fff, head.readUInt16LE(28) & 0x3fff);
  if (chunk !== 'VP8L') return null;
  const bits = head.readUInt32LE(21);
  return sized('webp', 1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff));
}

/** Follows the segments to the frame header (ITU-T T.81, B.2.2). */
function jpegHeader(read: ReadAt): ImageHeader | null {
  for (let at = 2; ;) {
    const segment = read(at, 9);
    if (segment.length < 9) throw new RangeError('ends within its JPEG header');
    const code = segment[1]!;
    // Fill bytes and markers without a segment are left to the decoder.
    if (segment[0] !== 0xff || code === 0xff || (code >= 0xd0 && code <= 0xd9)) return null;
    const isFrame = code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc;
    if (isFrame) {
      const bits = segment[4]!;
      if (bits !== 8) throw new RangeError(`has samples of ${bits} bits; accepted: JPEG of 8`);
      return sized('jpeg', segment.readUInt16BE(7), segment.readUInt16BE(5));
    }
    const length = segment.readUInt16BE(2);
    if (code === 0xda || length < 2) return null;
    at += 2 + length;
  }
}

/** Tags of TIFF 6.0, and the values of PhotometricInterpretation, Compression and SampleFormat. */
const tags = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  samples: 277,
  format: 339,
};
const colours = { white: 0, black: 1, rgb: 2, palette: 3, separated: 5, luma: 6, lab: 8 };
const jpegCompressions = [6, 7];
const photometricNames: Record<number, string> = {
  6: 'YCbCr without JPEG compression',
  32803: 'a raw sensor',
  34892: 'a raw sensor',
};
const unsigned = 1;
const unspecified = 4;
const formatNames: Record<number, string> = { 2: 'signed integers', 3: 'floating point' };

/** Bytes of a value, by field type: BYTE, SHORT, LONG and LONG8; other types do not occur in these tags. */
const typeBytes: Record<number, number> = { 1: 1, 3: 2, 4: 4, 16: 8 };

/** Reads the first directory. */
function tiffHeader(read: ReadAt): ImageHeader | null {
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
  const fields = new Map<number, number[]>();
  for (let at = 0; at + entry <= entries.length; at += entry) {
    const bytes = typeBytes[number(entries, at + 2, 2)];
    const values = number(entries, at + 4, pointer);
    if (bytes === undefined || values > 64) continue;
    const inPlace = values * bytes <= pointer;
    const start = at + 4 + pointer;
    const from = inPlace ? entries : read(number(entries, start, pointer), values * bytes);
    fields.set(
      number(entries, at, 2),
      Array.from({ length: values }, (_, i) => number(from, (inPlace ? start : 0) + i * bytes, bytes)),
    );
  }
  const first = (tag: number, fallback: number) => fields.get(tag)?.[0] ?? fallback;
  const bits = first(tags.bits, 1);
  const format = first(tags.format, unsigned);
  const samples = first(tags.samples, 1);
  if (format === unspecified) return null;
  const isMixed = [tags.bits, tags.format].some((tag) => new Set(fields.get(tag)).size > 1);
  if (isMixed || format !== unsigned || ![1, 2, 4, 8, 16].includes(bits)) {
    const what = isMixed ? 'different kinds' : `${bits} bits, ${formatNames[format] ?? 'unsigned'}`;
    throw new RangeError(`has samples of ${what}; ${acceptedSamples}`);
  }
  const photometric = first(tags.photometric, colours.black);
  // NOTE: libvips converts YCbCr where libjpeg does it, and takes it for RGB elsewhere.
  const isUnconverted =
    photometric === colours.luma && !jpegCompressions.includes(first(tags.compression, 1));
  if (isUnconverted || !Object.values(colours).includes(photometric)) {
    const name = photometricNames[photometric] ?? `kind ${photometric}`;
    throw new RangeError(`has colours of ${name}; accepted: grey, RGB, palette, CMYK or Lab`);
  }
  const most = photometric === colours.separated ? 5 : 4;
  if (samples > most) throw new RangeError(`has ${samples} channels; accepted: at most ${most}`);
  return sized('tiff', first(tags.width, 0), first(tags.height, 0), bits);
}
