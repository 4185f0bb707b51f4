import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { readHeader, type ImageHeader } from './imageHeader.js';
import type { RawImage } from './imageStore.js';
import { decodeOrdinaryJpeg } from './jpeg.js';

/**
 * Decode one file to sRGB as it is meant to be seen: EXIF orientation applied, transparency over white, the
 * first page of an animation, 16 bits scaled to 8 (65535 becomes 255).
 * @throws Error of the decoder, also when the file is truncated; RangeError for a file that is no such image.
 */
export async function decodeImage(path: string): Promise<RawImage> {
  return decodeFile(await readFile(path));
}

/** The same for a file that has been read. */
export async function decodeFile(file: Buffer): Promise<RawImage> {
  return decodeOrdinaryJpeg(file) ?? decodeWithSharp(file);
}

/** The same for a file that `decodeOrdinaryJpeg` leaves to others. */
export async function decodeWithSharp(file: Buffer): Promise<RawImage> {
  await headerOf(file);
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
 * What the header of a file says.
 * @throws RangeError or the decoder's Error for a file that cannot be decoded.
 */
export async function headerOf(file: Buffer): Promise<ImageHeader> {
  return readHeader((offset, length) => file.subarray(offset, offset + length)) ?? askSharp(file);
}

/** The same for what only a decoder can tell. `input` is a file's content or its path. */
export async function askSharp(input: Buffer | string): Promise<ImageHeader> {
  const { format, depth, width, height } = await sharp(input).metadata();
  if (depth !== 'uchar' && depth !== 'ushort') {
    throw new RangeError(`has samples of type ${depth}; accepted: 8 or 16 bits, unsigned`);
  }
  if (width === 0 || height === 0) throw new RangeError(`has ${width} x ${height} pixels`);
  const kind = format === 'heif' ? 'avif' : (format as ImageHeader['kind']);
  return { kind, bits: depth === 'uchar' ? 8 : 16 };
}
