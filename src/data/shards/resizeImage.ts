import sharp from 'sharp';
import { decodeFile, headerOf } from '../imageDecoder.js';
import type { ImageFormat } from '../imageHeader.js';
import { isColour, rgb8, type PixelFormat } from '../rawImage.js';

/** An encoded image and how. */
export interface EncodedImage {
  readonly file: Buffer;
  readonly format: ImageFormat;
}

/** Of the encoder of JPEG, of 100: what training sees differs by less than from one camera to the next. */
const quality = 95;

/**
 * An image whose shorter side has at most `side` pixels: a larger one is scaled down, turned as its EXIF says, and
 * encoded again, JPEG as JPEG and all else without loss as PNG of as many bits; others are as they were. Rejects with
 * the decoder's Error for what cannot be decoded.
 */
export async function resizeImage(
  file: Buffer,
  side: number,
  pixels: PixelFormat = rgb8,
): Promise<EncodedImage> {
  const { kind: format, bits, isBanded } = await headerOf(file, pixels);
  if (isBanded || !isColour(pixels)) {
    const { width, height, channels } = await decodeFile(file, pixels);
    if (Math.min(width, height) <= side) return { file, format };
    throw new RangeError(`has ${channels} bands; accepted, to resize it: grey or RGB`);
  }
  const image = sharp(file, { failOn: 'error' }).autoOrient();
  const { width, height, channels } = await image.metadata();
  if (Math.min(width, height) <= side) {
    // It is decoded nevertheless: a damaged one is left out whatever its size.
    await image.stats();
    return { file, format };
  }
  if (channels > 4) throw new RangeError(`has ${channels} channels; accepted, to resize it: up to 4`);
  const resized = image.resize({ width: side, height: side, fit: 'outside' });
  if (format === 'jpeg') return { file: await resized.jpeg({ quality }).toBuffer(), format };
  const depth = channels <= 2 ? 'grey16' : 'rgb16';
  const png = (bits === 16 ? resized.toColourspace(depth) : resized).png();
  return { file: await png.toBuffer(), format: 'png' };
}
