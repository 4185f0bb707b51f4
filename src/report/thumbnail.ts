import sharp from 'sharp';
import type { ChannelStatistics } from '../data/transform.js';
import { shownImage } from '../data/shownImage.js';
import type { RawImage } from '../data/source.js';

/** Longest side of a thumbnail in pixels; smaller images stay as they are. */
const side = 64;

/** An image as a JPEG data URI, cut to a square around its centre as evaluation does. */
export async function thumbnail(image: RawImage): Promise<string> {
  const { width, height, data } = shownImage(image);
  const jpeg = await sharp(data, { raw: { width, height, channels: 3 } })
    .resize({ width: Math.min(side, width, height), height: Math.min(side, width, height), fit: 'cover' })
    .jpeg({ quality: 85, chromaSubsampling: '4:4:4' })
    .toBuffer();
  return `data:image/jpeg;base64,${jpeg.toString('base64')}`;
}

/** A normalised network input, the first `[C, S, S]` of an array, as an image again. */
export function denormalized(
  input: Float32Array,
  size: number,
  mean: ChannelStatistics,
  std: ChannelStatistics,
): RawImage {
  const plane = size * size;
  const channels = mean.length;
  // A clamped array rounds, too.
  const data = new Uint8ClampedArray(channels * plane);
  for (let channel = 0; channel < channels; channel++) {
    for (let pixel = 0; pixel < plane; pixel++) {
      data[channels * pixel + channel] =
        255 * (input[channel * plane + pixel]! * std[channel]! + mean[channel]!);
    }
  }
  return { width: size, height: size, channels, data: new Uint8Array(data.buffer) };
}
