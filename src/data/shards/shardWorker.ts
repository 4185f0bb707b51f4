/** Worker thread of `scanShards`: opens shards, one at a time, in the order of the requests. */
import { parentPort, workerData } from 'node:worker_threads';
import type { PixelFormat } from '../rawImage.js';
import { openShard, type OpenedShard } from './openShard.js';
import { reasonOf } from '../../errors.js';

/** What a worker is started with. */
export interface ShardScanSetup {
  readonly cacheDirectory: string | null;
  readonly pixels: PixelFormat;
  /** [1], images found by all workers. */
  readonly found: Int32Array;
}

export type ShardScanReply = OpenedShard | { readonly error: string };

const { cacheDirectory, pixels, found } = workerData as ShardScanSetup;
const port = parentPort!;
const onImages = (count: number) => void Atomics.add(found, 0, count);
port.on('message', (path: string) => {
  openShard(path, cacheDirectory, { pixels, onImages }).then(
    (shard) => {
      const { blocks, sizes, labels } = shard.index;
      const buffers = new Set([blocks, sizes, labels].map(({ buffer }) => buffer as ArrayBuffer));
      port.postMessage(shard satisfies ShardScanReply, [...buffers]);
    },
    (error: unknown) => port.postMessage({ error: reasonOf(error) } satisfies ShardScanReply),
  );
});
