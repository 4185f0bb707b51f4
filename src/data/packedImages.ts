import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { SlimclrError } from '../errors.js';

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

interface TensorEntry {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly data_offsets: readonly [number, number];
}

interface Header {
  readonly __metadata__: { readonly format: string; readonly sha256: string };
  readonly images: TensorEntry;
  readonly labels: TensorEntry;
}

const format = 'slimclr-images-1';
const chunkSize = 2 ** 24;

/**
 * Write a file in the safetensors layout: `images` U8 [N, H, W, C] and `labels` I32 [N], with the SHA-256 of
 * the data in the metadata. The file is on disk when this returns.
 */
export async function writePackedImages(path: string, packed: PackedImages): Promise<void> {
  const { width, height, channels, pixels, labels } = packed;
  const labelBytes = new Uint8Array(labels.buffer, labels.byteOffset, labels.byteLength);
  const header: Header = {
    __metadata__: { format, sha256: createHash('sha256').update(labelBytes).update(pixels).digest('hex') },
    labels: { dtype: 'I32', shape: [labels.length], data_offsets: [0, labelBytes.length] },
    images: {
      dtype: 'U8',
      shape: [labels.length, height, width, channels],
      data_offsets: [labelBytes.length, labelBytes.length + pixels.length],
    },
  };
  const json = JSON.stringify(header);
  // Padding the header to a multiple of 8 aligns the data, as the layout asks.
  const text = Buffer.from(json.padEnd(Math.ceil(json.length / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  const file = await open(path, 'w');
  try {
    for (const part of [length, text, labelBytes, pixels]) await file.writeFile(part);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Read such a file into shared memory and check its SHA-256.
 * @throws SlimclrError when the file is torn, foreign or changed; the system's error when it cannot be read.
 */
export async function readPackedImages(path: string): Promise<PackedImages> {
  const file = await open(path, 'r');
  try {
    const hash = createHash('sha256');
    let position = 0;
    const read = async (bytes: Uint8Array): Promise<void> => {
      for (let start = 0; start < bytes.length; start += chunkSize) {
        const chunk = bytes.subarray(start, start + chunkSize);
        const { bytesRead } = await file.read(chunk, 0, chunk.length, position);
        if (bytesRead !== chunk.length) throw new SlimclrError(`${path} is truncated`);
        position += bytesRead;
      }
    };
    const readHashed = async (bytes: Uint8Array): Promise<void> => {
      for (let start = 0; start < bytes.length; start += chunkSize) {
        const chunk = bytes.subarray(start, start + chunkSize);
        await read(chunk);
        hash.update(chunk);
      }
    };

    const length = Buffer.alloc(8);
    await read(length);
    const headerSize = Number(length.readBigUInt64LE());
    if (headerSize > 2 ** 16) throw new SlimclrError(`${path} is not a file of packed images`);
    const text = Buffer.alloc(headerSize);
    await read(text);
    const header = parseHeader(path, text.toString());

    const [count, height, width, channels] = header.images.shape as [number, number, number, 1 | 3];
    const packed = allocatePackedImages(count, width, height, channels);
    await readHashed(new Uint8Array(packed.labels.buffer));
    await readHashed(packed.pixels);
    if (hash.digest('hex') !== header.__metadata__.sha256) {
      throw new SlimclrError(`${path} is damaged: its SHA-256 is not the recorded one`);
    }
    return packed;
  } finally {
    await file.close();
  }
}

function parseHeader(path: string, text: string): Header {
  try {
    const header = JSON.parse(text) as Header;
    if (header.__metadata__.format === format && header.images.shape.length === 4) return header;
  } catch {
    // Not JSON, or without metadata: the same answer as for another format.
  }
  throw new SlimclrError(`${path} is not a file of packed images (${format})`);
}
