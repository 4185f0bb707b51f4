import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { reasonOf } from '../../errors.js';
import { threadsWithin, usableThreads } from '../../limits.js';
import { sharedInt32 } from '../packedStrings.js';
import type { PixelFormat } from '../rawImage.js';
import { openShard } from './openShard.js';
import type { ShardScanReply, ShardScanSetup } from './shardWorker.js';

/** Fewer shards are not worth a thread. */
const workerShards = 4;
/** More than there are cores: they wait for the disk, or the network, most of the time. */
const maxWorkers = 8;

/** Headers come and go: more room for what is new would fill up before it is swept. */
const resourceLimits = { maxYoungGenerationSizeMb: 8 };

export interface ShardScanOptions {
  /** Where indices are kept between runs; null: nowhere. */
  readonly cacheDirectory: string | null;
  /** What the images are going to be decoded to. */
  readonly pixels: PixelFormat;
  /** Told twice a second how many shards are done, and how many images were found. */
  readonly onFound?: (shards: number, images: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens shards, in parallel when there are several; the replies are in their order. Processes that open the same shards
 * at once, such as the ranks of a machine, go through them in different orders, so that each takes what others have
 * kept in the cache, and none waits for another.
 */
export async function scanShards(
  paths: readonly string[],
  { cacheDirectory, pixels, onFound, signal }: ShardScanOptions,
): Promise<ShardScanReply[]> {
  const replies = new Array<ShardScanReply>(paths.length);
  const found = sharedInt32(1);
  const order = shuffled(paths.length);
  let done = 0;
  const drain = async (open: (path: string) => Promise<ShardScanReply>) => {
    for (let number = order.pop(); number !== undefined; number = order.pop()) {
      signal?.throwIfAborted();
      replies[number] = await open(paths[number]!);
      done++;
    }
  };
  const timer = setInterval(() => onFound?.(done, Atomics.load(found, 0)), 500);
  const workers: Worker[] = [];
  try {
    if (paths.length < workerShards) {
      const onImages = (count: number) => void Atomics.add(found, 0, count);
      await drain((path) =>
        openShard(path, cacheDirectory, { pixels, onImages, signal }).catch((error: unknown) => {
          signal?.throwIfAborted();
          return { error: reasonOf(error) };
        }),
      );
      return replies;
    }
    const workerData: ShardScanSetup = { cacheDirectory, pixels, found };
    const count = Math.min(maxWorkers, threadsWithin(2 * usableThreads()), Math.floor(paths.length / 2));
    for (let i = 0; i < count; i++) {
      workers.push(new Worker(new URL('./shardWorker.js', import.meta.url), { workerData, resourceLimits }));
    }
    await Promise.all(workers.map((worker) => drain((path) => request(worker, path, signal))));
    return replies;
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    clearInterval(timer);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}

/** 0 .. count - 1 in an order of chance: nothing but time depends on it. */
function shuffled(count: number): number[] {
  return Array.from({ length: count }, (_, number) => ({ number, place: Math.random() }))
    .sort((a, b) => a.place - b.place)
    .map(({ number }) => number);
}

async function request(
  worker: Worker,
  path: string,
  signal: AbortSignal | undefined,
): Promise<ShardScanReply> {
  worker.postMessage(path);
  // `once` rejects with what a worker throws.
  const [reply] = (await once(worker, 'message', signal && { signal })) as [ShardScanReply];
  return reply;
}
