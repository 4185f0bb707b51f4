import type { EncodedKind } from '../encodedImages.js';
import { intervalOf } from '../intervals.js';
import { stringAt, type PackedStrings } from '../packedStrings.js';
import { readFilePart } from './openFiles.js';
import { blockBytes } from './tarEntries.js';

/** Files in tar archives, those of one archive after those of the other. */
export interface ShardImages {
  readonly kind: 'shards';
  /** The folder that the shards are in. */
  readonly root: string;
  /** Paths of the shards. */
  readonly paths: PackedStrings;
  /** `versionOf` each shard when it was indexed. */
  readonly versions: PackedStrings;
  /** Their paths relative to `root` with forward slashes. */
  readonly shards: PackedStrings;
  /** [shards + 1], the first image of each shard, and N. */
  readonly firsts: Uint32Array;
  /** [N], names in the archives. */
  readonly names: PackedStrings;
  /** [N], where the content begins in its archive, in blocks of 512 bytes. */
  readonly blocks: Uint32Array;
  /** [N], bytes. */
  readonly sizes: Uint32Array;
}

export const shardImages: EncodedKind<ShardImages> = {
  count: ({ sizes }) => sizes.length,
  name: ({ shards, firsts, names }, index) =>
    `${stringAt(shards, intervalOf(firsts, index))}/${stringAt(names, index)}`,
  bytes: ({ paths, versions, firsts, blocks, sizes }, index) => {
    const shard = intervalOf(firsts, index);
    const file = { path: stringAt(paths, shard), version: stringAt(versions, shard) };
    return readFilePart(file, blocks[index]! * blockBytes, sizes[index]!);
  },
};
