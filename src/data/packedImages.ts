import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { SlimclrError } from '../errors.js';
import { readSafetensorsHeader, writeSafetensors, type TensorData } from '../onnx/safetensors.js';

/** Images of one size in one block of memory that every worker thread can read without a copy. */
export interface PackedImages {
  readonly width: number;
  readonly height: number;
  /** 1 for greyscale. */
  readonly channels: 1 | 3;
  /** [N, H, W, C], backed by a SharedArrayBuffer. */
  readonly pixels: Uint8Array;
  /** [N] */
  readonly labels: Int32Array;
}

/** Room for `count` images, zeroed. */
export function allocatePackedImages(
  count: number,
  width: number,
  height: number,
  channels: 1 | 3,
): PackedImages {
  const pixels = new Uint8Array(new SharedArrayBuffer(count * width * height * channels));
  return { width, height, channels, pixels, labels: new Int32Array(count) };
}

const format = 'slimclr-images-1';
/** Read and hashed at a time. */
const chunkBytes = 2 ** 24;

/** Write a safetensors file: `labels` [N], `images` [N, H, W, C], the SHA-256 of both in the metadata. */
export async function writePackedImages(path: string, packed: PackedImages): Promise<void> {
  const { width, height, channels, pixels, labels } = packed;
  const sha256 = createHash('sha256').update(labels).update(pixels).digest('hex');
  const tensors = new Map<string, TensorData>([
    ['labels', { dtype: 'int32', shape: [labels.length], data: labels }],
    ['images', { dtype: 'uint8', shape: [labels.length, height, width, channels], data: pixels }],
  ]);
  await writeSafetensors(path, tensors, { format, sha256 });
}

/**
 * Read such a file into shared memory and check its SHA-256.
 * @throws SlimclrError when the file is absent, torn, foreign or changed.
 */
export async function readPackedImages(path: string): Promise<PackedImages> {
  const { metadata, tensors } = await readSafetensorsHeader(path);
  const labels = tensors.get('labels');
  const images = tensors.get('images');
  const [count, height, width, channels] = (images?.type.shape ?? []) as number[];
  if (metadata.format !== format || !labels || !images || (channels !== 1 && channels !== 3)) {
    throw new SlimclrError(`${path} is not a file of packed images (${format})`);
  }
  const packed = allocatePackedImages(count!, width!, height!, channels);
  const hash = createHash('sha256');
  const file = await open(path, 'r');
  try {
    for (const { bytes, offset } of [
      { bytes: new Uint8Array(packed.labels.buffer), offset: labels.offset },
      { bytes: packed.pixels, offset: images.offset },
    ]) {
      for (let start = 0; start < bytes.length; start += chunkBytes) {
        const chunk = bytes.subarray(start, start + chunkBytes);
        const { bytesRead } = await file.read(chunk, 0, chunk.length, offset + start);
        if (bytesRead !== chunk.length) throw new SlimclrError(`${path} ended while being read`);
        hash.update(chunk);
      }
    }
  } finally {
    await file.close();
  }
  if (hash.digest('hex') !== metadata.sha256) {
    throw new SlimclrError(`${path} is damaged: its SHA-256 is not the recorded one`);
  }
  return packed;
}
