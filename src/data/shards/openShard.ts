import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from 'node:fs';
import { reasonOf } from '../../errors.js';
import { rgb8 } from '../rawImage.js';
import { versionOf } from './openFiles.js';
import { indexFile, readIndex, writeIndex } from './shardCache.js';
import { indexShard, type IndexOptions, type ShardIndex } from './shardIndex.js';

/** A shard that was opened once. */
export interface OpenedShard {
  readonly index: ShardIndex;
  /** `versionOf` the file. */
  readonly version: string;
  /** Where it is, and what changes when it is written to or replaced. */
  readonly stamp: string;
  /** Whether its index was kept; else why it could not be kept now, if so. */
  readonly kept: boolean;
  readonly notKept: string | null;
}

/** Bytes at the beginning, the middle and the end of a shard that tell whether it is the one that was indexed. */
const sampleBytes = 2 ** 14;

/**
 * The index of a shard: the one that is kept in the cache, where the shard has the size, the times and the bytes of then;
 * else made, and kept. Without a cache directory none is kept. Rejects with the system's Error when the shard cannot
 * be read.
 */
export async function openShard(
  path: string,
  cacheDirectory: string | null,
  options: IndexOptions = {},
): Promise<OpenedShard> {
  // Opening a pipe would wait for its other end.
  const file = openSync(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const status = fstatSync(file, { bigint: true });
    if (!status.isFile()) throw new Error('is no file');
    const size = Number(status.size);
    const real = realpathSync(path);
    const version = versionOf(status);
    const times = `${status.mtimeNs} ${status.ctimeNs}`;
    const stamp = `${real}\0${times}`;
    const { channels } = options.pixels ?? rgb8;
    // Other channels, other images.
    const kind = channels === rgb8.channels ? '' : ` of ${channels} channels`;
    const state = `${size} ${times} ${sampleDigest(file, size)}${kind}`;
    const kept = cacheDirectory === null ? null : indexFile(cacheDirectory, real);
    const known = kept === null ? null : await readIndex(kept, state);
    if (known) {
      options.onImages?.(known.sizes.length);
      return { index: known, version, stamp, kept: true, notKept: null };
    }
    const index = await indexShard(file, size, options);
    const notKept = kept === null ? null : await writeIndex(kept, state, index).then(() => null, reasonOf);
    return { index, version, stamp, kept: false, notKept };
  } finally {
    closeSync(file);
  }
}

function sampleDigest(file: number, size: number): string {
  const bytes = Buffer.alloc(sampleBytes);
  const hash = createHash('sha256');
  for (const offset of [0, Math.floor(size / 2), Math.max(0, size - sampleBytes)]) {
    hash.update(bytes.subarray(0, readSync(file, bytes, 0, sampleBytes, offset)));
  }
  return hash.digest('hex');
}
