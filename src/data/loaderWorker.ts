/** Worker thread of `ViewLoader`: renders batches of views, one at a time, in the order of the requests. */
import { parentPort, workerData } from 'node:worker_threads';
import type { ViewAugmentation } from '../config/augmentation.js';
import { Random } from '../random.js';
import { sampleView } from './augmentation.js';
import { decodeLanes, forEachConcurrently } from './concurrency.js';
import { useImage, type ImageStore, type SkippedFile } from './imageStore.js';
import { ImageTransform, type ChannelStatistics } from './transform.js';

/** What a worker is started with. */
export interface WorkerSetup {
  readonly store: ImageStore;
  readonly seed: number;
  readonly imageSize: number;
  readonly mean: ChannelStatistics;
  readonly std: ChannelStatistics;
  readonly augmentations: readonly [ViewAugmentation, ViewAugmentation];
}

/** A request: fill `views`, which are shared with the thread that asks. */
export interface Job {
  readonly id: number;
  readonly epoch: number;
  readonly indices: Uint32Array;
  readonly views: readonly [Float32Array<SharedArrayBuffer>, Float32Array<SharedArrayBuffer>];
}

export type Reply =
  | { readonly id: number; readonly unreadable: readonly SkippedFile[] }
  | { readonly id: number; readonly error: unknown };

const { store, seed, imageSize, mean, std, augmentations } = workerData as WorkerSetup;
const transform = new ImageTransform(imageSize, mean, std);
const memory = (width: number, height: number) => transform.pixels(width, height);
const viewSize = 3 * imageSize * imageSize;
const port = parentPort!;

async function render({ id, epoch, indices, views }: Job): Promise<void> {
  const unreadable: SkippedFile[] = [];
  const onUnreadable = (file: SkippedFile) => void unreadable.push(file);
  try {
    await forEachConcurrently(indices.length, decodeLanes, async (position) => {
      const index = indices[position]!;
      await useImage(store, index, { onUnreadable, memory }, (image) => {
        for (const view of [0, 1] as const) {
          const random = new Random(seed, epoch, index, view);
          const parameters = sampleView(augmentations[view], image.width, image.height, random);
          transform.view(image, parameters, views[view], position * viewSize);
        }
      });
    });
    port.postMessage({ id, unreadable } satisfies Reply);
  } catch (error) {
    port.postMessage({ id, error } satisfies Reply);
  }
}

let last = Promise.resolve();
port.on('message', (job: Job) => {
  last = last.then(() => render(job));
});
