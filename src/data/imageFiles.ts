import { createHash, type Hash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, type BigIntStats } from 'node:fs';
import { resolve } from 'node:path';
import { readHeader, type ImageHeader } from './imageHeader.js';
import { rgb8, type PixelFormat } from './rawImage.js';

/** What is known of an image file after it was opened once. */
export interface ImageFile {
  /** Bytes. */
  readonly size: number;
  /** SHA-256 of its content (`contentBudget`), 32 bytes. */
  readonly digest: Buffer;
  /** Null when the whole content is in `digest`; else what changes when the file is written to or replaced. */
  readonly stamp: string | null;
  /** Null when only a decoder can tell. */
  readonly header: ImageHeader | null;
}

/** Bytes of all files of a folder that are hashed, about. */
const hashedBytes = 2 ** 30;
/** Of a file that is not hashed whole: the first, the middle and the last bytes. */
const sampleBytes = 2 ** 14;
const wholeAtLeast = 3 * sampleBytes;

/**
 * The largest file that is hashed whole, in bytes, in a folder of that many images: what identifies them must be read in
 * seconds. It depends on nothing else, so a copy of the folder elsewhere has the same digests.
 */
export function contentBudget(images: number): number {
  return Math.max(wholeAtLeast, Math.floor(hashedBytes / images));
}

/** Read and hashed at a time; one a thread. */
const chunk = Buffer.allocUnsafe(2 ** 20);

/**
 * Opens a file, checks its header and hashes its content, synchronously: for many small files that takes a fifth of the
 * time.
 * @throws Error for what is no file, cannot be read or is not decoded to `pixels`.
 */
export function inspectImageFile(
  root: string,
  path: string,
  budget: number,
  pixels: PixelFormat = rgb8,
): ImageFile {
  // Opening a pipe would wait for its other end.
  const file = openSync(resolve(root, path), constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const status = fstatSync(file, { bigint: true });
    if (!status.isFile()) throw new Error('is no file');
    const size = Number(status.size);
    const readAt = (offset: number, length: number, into = Buffer.allocUnsafe(length)) =>
      into.subarray(0, readSync(file, into, 0, length, offset));
    const head = readAt(0, Math.min(size, sampleBytes), chunk);
    const header = readHeader(
      (offset, length) =>
        offset + length <= head.length || head.length === size
          ? head.subarray(offset, offset + length)
          : readAt(offset, length),
      pixels,
    );
    const hash = createHash('sha256');
    if (size <= budget) {
      hash.update(head);
      for (let at = head.length; at < size;) at += update(hash, readAt(at, chunk.length, chunk));
      return { size, digest: hash.digest(), stamp: null, header };
    }
    hash.update(head);
    for (const at of [Math.floor((size - sampleBytes) / 2), size - sampleBytes]) {
      update(hash, readAt(at, sampleBytes, chunk));
    }
    return { size, digest: hash.digest(), stamp: stampOf(status), header };
  } finally {
    closeSync(file);
  }
}

function update(hash: Hash, bytes: Buffer): number {
  if (bytes.length === 0) throw new Error('ended while being read');
  hash.update(bytes);
  return bytes.length;
}

/** The change time tells of a file that was replaced and given the modification time of the old one. */
function stampOf({ mtimeNs, ctimeNs }: BigIntStats): string {
  return `${mtimeNs} ${ctimeNs}`;
}
