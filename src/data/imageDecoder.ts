import { readFile } from 'node:fs/promises';
import sharp from 'sharp';
import { decodeBands } from './bandedTiff.js';
import { checkChannels, readHeader, type ImageHeader } from './imageHeader.js';
import { decodeOrdinaryJpeg } from './jpeg.js';
import type { PixelMemory } from './imageStore.js';
import { asColour, fullScale, isColour, rgb8, type PixelFormat, type RawImage } from './rawImage.js';

/**
 * Decode one file as it is meant to be seen, in sRGB: EXIF orientation applied, transparency over white, the first page
 * of an animation; grey is repeated for RGB, and RGB becomes its luma for grey. 16 bits stay what they are where
 * `pixels` keeps them, else 65535 becomes 255; 8 bits stay bytes. Bands, which are of neither one nor three channels, are
 * taken as they are.
 * @throws Error of the decoder, also when the file is truncated; RangeError for a file that is no such image.
 */
export async function decodeImage(path: string, pixels: PixelFormat = rgb8): Promise<RawImage> {
  return decodeFile(await readFile(path), pixels);
}

/** The same for a file that has been read. */
export async function decodeFile(file: Buffer, pixels: PixelFormat = rgb8): Promise<RawImage> {
  return decodeAtOnce(file, pixels) ?? decodeLater(file, pixels);
}

/** The same for an ordinary photograph, within the call, into `memory` where that fits; null for any other file. */
export function decodeAtOnce(file: Buffer, { channels }: PixelFormat, memory?: PixelMemory): RawImage | null {
  if (!isColour({ channels })) return null;
  const image = decodeOrdinaryJpeg(file, memory);
  return image && asColour(image, channels);
}

/** The same for a file that `decodeAtOnce` leaves to others. */
export async function decodeLater(file: Buffer, pixels: PixelFormat): Promise<RawImage> {
  const header = await headerOf(file, pixels);
  const deep = pixels.depth === 16 && header.bits === 16;
  const isBanded = header.isBanded || !isColour(pixels);
  if (isBanded && header.kind === 'tiff') return atMost(decodeBands(file), pixels.depth);
  const isSeen = !isBanded;
  const image = await decodeWithSharp(file, { deep, opaque: isSeen });
  const wanted = isSeen ? asColour(image, pixels.channels) : bandsOf(image, header);
  const { channels } = wanted;
  if (channels === pixels.channels) return wanted;
  throw new RangeError(`has ${channels} channels; accepted: ${pixels.channels}, as data.channels says`);
}

/** RGB, or not `opaque` and where there is transparency RGBA, not premultiplied. */
async function decodeWithSharp(
  file: Buffer,
  { deep, opaque }: { readonly deep: boolean; readonly opaque: boolean },
): Promise<RawImage> {
  // NOTE: decoder warnings do not fail an image: they are common in photographs that decode correctly.
  const image = sharp(file, { failOn: 'error' }).autoOrient();
  // NOTE: of 16 bits, white is 65280 to `flatten`.
  if (opaque && !deep) image.flatten({ background: 'white' });
  const { data, info } = await image
    .toColourspace(deep ? 'rgb16' : 'srgb')
    .raw({ depth: deep ? 'ushort' : 'uchar' })
    .toBuffer({ resolveWithObject: true });
  const { width, height, channels } = info;
  if (!deep) return { width, height, channels, data };
  const samples = new Uint16Array(data.buffer, data.byteOffset, data.length / 2);
  if (!opaque || channels === 3) return { width, height, channels, data: samples };
  return { width, height, channels: 3, data: overWhite(samples) };
}

/** RGBA of 16 bits -> RGB */
function overWhite(rgba: Uint16Array): Uint16Array {
  const rgb = new Uint16Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4, to += 3) {
    const alpha = rgba[from + 3]! / 65_535;
    for (let c = 0; c < 3; c++) rgb[to + c] = Math.round(rgba[from + c]! * alpha + 65_535 * (1 - alpha));
  }
  return rgb;
}

/** Grey and its transparency come as four channels. */
function bandsOf(image: RawImage, header: ImageHeader): RawImage {
  if (header.channels !== 2 || image.channels !== 4) return image;
  return { ...image, channels: 2, data: image.data.filter((_, i) => i % 4 === 0 || i % 4 === 3) };
}

/** 65535 becomes 255 where 8 bits are all that is kept. */
function atMost(image: RawImage, depth: PixelFormat['depth']): RawImage {
  if (depth === 16 || fullScale(image) === 255) return image;
  return { ...image, data: Uint8Array.from(image.data, (value) => value >> 8) };
}

/**
 * What the header of a file says.
 * @throws RangeError or the decoder's Error for a file that cannot be decoded.
 */
export async function headerOf(file: Buffer, pixels: PixelFormat = rgb8): Promise<ImageHeader> {
  return (
    readHeader((offset, length) => file.subarray(offset, offset + length), pixels) ?? askSharp(file, pixels)
  );
}

/** The same for what only a decoder can tell. `input` is a file's content or its path. */
export async function askSharp(input: Buffer | string, pixels: PixelFormat = rgb8): Promise<ImageHeader> {
  const { format, depth, width, height, channels } = await sharp(input).metadata();
  if (depth !== 'uchar' && depth !== 'ushort') {
    throw new RangeError(`has samples of type ${depth}; accepted: 8 or 16 bits, unsigned`);
  }
  if (width === 0 || height === 0) throw new RangeError(`has ${width} x ${height} pixels`);
  const kind = format === 'heif' ? 'avif' : (format as ImageHeader['kind']);
  const header: ImageHeader = { kind, bits: depth === 'uchar' ? 8 : 16, channels, isBanded: false };
  checkChannels(header, pixels);
  return header;
}
