import sharp from 'sharp';
import type { ChannelStatistics } from '../data/transform.js';
import type { RawImage } from '../data/source.js';

/** Longest side of a thumbnail in pixels; smaller images stay as they are. */
const side = 64;

/** An image as a JPEG data URI, cut to a square around its centre as evaluation does. */
export async function thumbnail({ width, height, data }: RawImage): Promise<string> {
  const jpeg = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize({ width: Math.min(side, width, height), height: Math.min(side, width, height), fit: 'cover' })
    .jpeg({ quality: 85, chromaSubsampling: '4:4:4' })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

/** A normalised network input, the first `[3, S, S]` of an array, as an image again. */
export function denormalized(
  input: Float32Array,
  size: number,
  mean: ChannelStatistics,
  std: ChannelStatistics,
): RawImage {
  const plane = size * size;
  // A clamped array rounds, too.
  const data = new Uint8ClampedArray(3 * plane);
  for (let channel = 0; channel < 3; channel++) {
    for (let pixel = 0; pixel < plane; pixel++) {
      data[3 * pixel + channel] = 255 * (input[channel * plane + pixel]! * std[channel]! + mean[channel]!);
    }
  }
  return { width: size, height: size, data: new Uint8Array(data.buffer) };
}
