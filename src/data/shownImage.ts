import { asColour, fullScale, type RawImage } from './rawImage.js';

/**
 * An image for a person, RGB of 8 bits [H, W, 3]: grey is repeated, of two bands the first; of other bands the first three
 * are red, green and blue.
 */
export function shownImage(image: RawImage): RawImage {
  const { width, height } = image;
  const bytes = fullScale(image) === 255 ? image.data : Uint8Array.from(image.data, (sample) => sample >> 8);
  const kept = image.channels < 3 ? 1 : 3;
  const data = new Uint8Array(kept * width * height);
  for (let i = 0; i < data.length; i++) {
    data[i] = bytes[Math.floor(i / kept) * image.channels + (i % kept)]!;
  }
  return asColour({ width, height, channels: kept, data }, 3);
}
