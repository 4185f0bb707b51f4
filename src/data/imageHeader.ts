import { counted } from '../counted.js';
import { isColour, rgb8, type PixelFormat } from './rawImage.js';
import { tiffHeader } from './tiffHeader.js';

/** Kinds of files that are decoded, by content. */
export type ImageFormat = 'jpeg' | 'png' | 'gif' | 'webp' | 'tiff' | 'avif';

export interface ImageHeader {
  readonly kind: ImageFormat;
  /** Bits of a sample; 8 where the format has no others. */
  readonly bits: number;
  /** With transparency; null when only a decoder can tell. */
  readonly channels: number | null;
  /** Whether they are no grey, RGB or CMYK, with or without transparency, but bands: of a TIFF. */
  readonly isBanded: boolean;
}

/** Bytes of a file from `offset` on: `length` of them, fewer at its end. */
export type ReadAt = (offset: number, length: number) => Buffer;

/** Pixels of the largest image that is decoded: sharp's limit, which keeps a small file from filling the memory. */
export const maxPixels = 0x3fff * 0x3fff;

/**
 * What the first bytes say of an image: 8 or 16 bits a sample, unsigned, of a size and with channels that can be decoded
 * to `pixels`. Null when only a decoder can tell (AVIF, unusual JPEG and GIF).
 * @throws RangeError that ends the sentence "the file ..." for what is not decoded.
 */
export function readHeader(read: ReadAt, pixels: PixelFormat = rgb8): ImageHeader | null {
  const head = read(0, 64);
  const kind = kindOf(head);
  const header = kind === 'avif' ? null : readers[kind](read, head, pixels);
  if (header) checkChannels(header, pixels);
  return header;
}

type Reader = (read: ReadAt, head: Buffer, pixels: PixelFormat) => ImageHeader | null;

const readers: Readonly<Record<Exclude<ImageFormat, 'avif'>, Reader>> = {
  png: (read, head, pixels) => pngHeader(read, head, pixels),
  gif: (_, head) => sized('gif', head.readUInt16LE(6), head.readUInt16LE(8)),
  webp: (_, head) => webpHeader(head),
  jpeg: (read) => jpegHeader(read),
  tiff: (read, _, pixels) => {
    const header = tiffHeader(read, !isColour(pixels));
    return header && sized('tiff', header.width, header.height, header);
  },
};

/**
 * Grey and RGB become each other; bands are as many as are asked for.
 * @throws RangeError that ends the sentence "the file ...".
 */
export function checkChannels(
  { channels, isBanded }: Pick<ImageHeader, 'channels' | 'isBanded'>,
  { channels: wanted }: PixelFormat,
): void {
  if (channels === null || channels === wanted) return;
  if (!isColour({ channels: wanted })) {
    throw new RangeError(`has ${counted(channels, 'channel')}; accepted: ${wanted}, as data.channels says`);
  }
  if (isBanded) {
    throw new RangeError(
      `has ${channels} channels; accepted: grey or RGB, with or without transparency, or data.channels ${channels}`,
    );
  }
}

const accepted = 'accepted: JPEG, PNG, WebP, GIF, AVIF or TIFF';

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
function sized(
  kind: ImageFormat,
  width: number,
  height: number,
  { bits = 8, channels = 3, isBanded = false }: Partial<ImageHeader> = {},
): ImageHeader | null {
  if (width === 0 || height === 0) return null;
  if (width * height > maxPixels) {
    throw new RangeError(`has ${width} x ${height} pixels; accepted: at most ${maxPixels}`);
  }
  return { kind, bits, channels, isBanded };
}

/** Channels of the colour types: grey, RGB, palette, grey and RGB with transparency. */
const pngChannels: Readonly<Record<number, number>> = { 0: 1, 2: 3, 3: 3, 4: 2, 6: 4 };

/** Of a palette and of a transparent colour, channels count where they are bands. */
function pngHeader(read: ReadAt, head: Buffer, pixels: PixelFormat): ImageHeader | null {
  const [bits, opaque] = [head[24]!, pngChannels[head[25]!] ?? null];
  const isClear = (opaque === 1 || opaque === 3) && !isColour(pixels) && hasTransparency(read);
  const channels = isClear ? opaque + 1 : opaque;
  return sized('png', head.readUInt32BE(16), head.readUInt32BE(20), { bits, channels });
}

/** Whether a PNG has a chunk tRNS, which stands before the pixels. */
function hasTransparency(read: ReadAt): boolean {
  for (let at = 8; ;) {
    const chunk = read(at, 8);
    if (chunk.length < 8) throw new RangeError('ends within its PNG header');
    const kind = chunk.toString('latin1', 4);
    if (kind === 'tRNS' || kind === 'IDAT' || kind === 'IEND') return kind === 'tRNS';
    at += 12 + chunk.readUInt32BE(0);
  }
}

/** Containers of a lossy, a lossless and an extended file. */
function webpHeader(head: Buffer): ImageHeader | null {
  const chunk = head.toString('latin1', 12, 16);
  const withAlpha = (has: boolean) => ({ channels: has ? 4 : 3 });
  if (chunk === 'VP8X') {
    return sized(
      'webp',
      1 + head.readUIntLE(24, 3),
      1 + head.readUIntLE(27, 3),
      withAlpha((head[20]! & 0x10) !== 0),
    );
  }
  if (chunk === 'VP8 ') return sized('webp', head.readUInt16LE(26) & 0x3fff, head.readUInt16LE(28) & 0x3fff);
  if (chunk !== 'VP8L') return null;
  const bits = head.readUInt32LE(21);
  return sized('webp', 1 + (bits & 0x3fff), 1 + ((bits >>> 14) & 0x3fff), withAlpha((bits >>> 28) % 2 === 1));
}

/** Follows the segments to the frame header (ITU-T T.81, B.2.2). */
function jpegHeader(read: ReadAt): ImageHeader | null {
  for (let at = 2; ;) {
    const segment = read(at, 10);
    if (segment.length < 9) throw new RangeError('ends within its JPEG header');
    const code = segment[1]!;
    // Fill bytes and markers without a segment are left to the decoder.
    if (segment[0] !== 0xff || code === 0xff || (code >= 0xd0 && code <= 0xd9)) return null;
    const isFrame = code >= 0xc0 && code <= 0xcf && code !== 0xc4 && code !== 0xc8 && code !== 0xcc;
    if (isFrame) {
      const bits = segment[4]!;
      if (bits !== 8) throw new RangeError(`has samples of ${bits} bits; accepted: JPEG of 8`);
      return sized('jpeg', segment.readUInt16BE(7), segment.readUInt16BE(5), {
        channels: segment[9] === 1 ? 1 : 3,
      });
    }
    const length = segment.readUInt16BE(2);
    if (code === 0xda || length < 2) return null;
    at += 2 + length;
  }
}
