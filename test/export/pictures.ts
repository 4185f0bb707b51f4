import { join } from 'node:path';
import sharp from 'sharp';
import { Random } from '../../src/random.js';

/** Pictures that preprocessing treats in different ways: of the model's size of 16, to be turned and shrunk, to be
 * stretched, see-through. */
export async function writePictures(root: string): Promise<string[]> {
  const random = new Random(5);
  const files: string[] = [];
  for (const [width, height, channels, orientation] of [
    [16, 16, 3, 1],
    [61, 47, 3, 6],
    [9, 14, 3, 1],
    [33, 50, 4, 1],
  ] as const) {
    const data = Uint8Array.from({ length: width * height * channels }, () => random.integer(256));
    // Where something shines through, browsers round.
    if (channels === 4) for (let i = 3; i < data.length; i += 4) data[i] = data[i]! < 128 ? 0 : 255;
    const file = join(root, `${width}x${height}.png`);
    await sharp(data, { raw: { width, height, channels } }).withMetadata({ orientation }).toFile(file);
    files.push(file);
  }
  return files;
}
