import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import type { ImageSource } from '../../../src/data/source.js';

const width = 500;
const height = 375;
/** Each layer: a mosaic of CIFAR-10 images, enlarged to the whole picture, and its contrast. */
const layers = [
  { columns: 1, rows: 1, contrast: 1 },
  { columns: 3, rows: 2, contrast: 0.5 },
  { columns: 8, rows: 6, contrast: 0.4 },
] as const;

/**
 * Stand-ins for photographs: 500 x 375 JPEG files of quality 90, about 40 kB each, with detail at every scale,
 * since smooth pictures decode too fast.
 */
export async function writePhotographs(
  source: ImageSource,
  folder: string,
  count: number,
): Promise<string[]> {
  const paths: string[] = [];
  let next = 0;
  for (let index = 0; index < count; index++) {
    const picture = new Float32Array(width * height * 3).fill(128);
    for (const { columns, rows, contrast } of layers) {
      const images = Array.from({ length: columns * rows }, () => next++ % source.length);
      const layer = await enlarge(await mosaic(source, images, columns));
      for (let i = 0; i < picture.length; i++) picture[i]! += contrast * (layer[i]! - 128);
    }
    const path = join(folder, `${index}.jpg`);
    await sharp(Uint8ClampedArray.from(picture), { raw: { width, height, channels: 3 } })
      .jpeg({ quality: 90 })
      .toFile(path);
    paths.push(path);
  }
  return paths;
}

/** All images of the source one after the other, as augment.py reads them. */
export async function writePacked(source: ImageSource, path: string): Promise<void> {
  const images = Array.from({ length: source.length }, (_, index) => source.read(index));
  await writeFile(path, Buffer.concat((await Promise.all(images)).map(({ data }) => Buffer.from(data))));
}

interface Mosaic {
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** Images of one size side by side, `columns` in a row. */
async function mosaic(source: ImageSource, indices: readonly number[], columns: number): Promise<Mosaic> {
  const images = await Promise.all(indices.map((index) => source.read(index)));
  const tile = images[0]!;
  const rowBytes = 3 * tile.width;
  const height = (tile.height * images.length) / columns;
  const data = new Uint8Array(columns * rowBytes * height);
  images.forEach((image, n) => {
    const row = Math.floor(n / columns) * tile.height;
    for (let y = 0; y < tile.height; y++) {
      const line = image.data.subarray(y * rowBytes, (y + 1) * rowBytes);
      data.set(line, ((row + y) * columns + (n % columns)) * rowBytes);
    }
  });
  return { data, width: columns * tile.width, height };
}

function enlarge(image: Mosaic): Promise<Buffer> {
  const raw = { width: image.width, height: image.height, channels: 3 } as const;
  return sharp(image.data, { raw }).resize(width, height, { fit: 'fill' }).raw().toBuffer();
}
