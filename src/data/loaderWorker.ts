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
  readonly batchSize: number;
  readonly imageSize: number;
  readonly mean: ChannelStatistics;
  readonly std: ChannelStatistics;
  readonly augmentations: readonly [ViewAugmentation, ViewAugmentation];
}

/** View 1 and view 2 of the images of a batch, shared with the thread that asks. */
export type Views = readonly [Float32Array<SharedArrayBuffer>, Float32Array<SharedArrayBuffer>];

/** A request: render views of images into those of some batches. */
export interface Job {
  readonly id: number;
  readonly epoch: number;
  readonly indices: Uint32Array;
  /** Where the views of each go: the row among those of all batches, or -1 for none. */
  readonly rows: readonly [Int32Array, Int32Array];
  readonly views: readonly Views[];
}

export type Reply =
  | { readonly id: number; readonly unreadable: readonly SkippedFile[] }
  | { readonly id: number; readonly error: unknown };

const { store, seed, batchSize, imageSize, mean, std, augmentations } = workerData as WorkerSetup;
const transform = new ImageTransform(imageSize, mean, std);
const memory = (width: number, height: number) => transform.pixels(width, height);
const viewSize = mean.length * imageSize * imageSize;
const port = parentPort!;

async function render({ id, epoch, indices, rows, views }: Job): Promise<void> {
  const unreadable: SkippedFile[] = [];
  const onUnreadable = (file: SkippedFile) => void unreadable.push(file);
  try {
    await forEachConcurrently(indices.length, decodeLanes, async (position) => {
      const index = indices[position]!;
      await useImage(store, index % store.selection.length, { onUnreadable, memory }, (image) => {
        for (const view of [0, 1] as const) {
          const row = rows[view][position]!;
          if (row < 0) continue;
          const random = new Random(seed, epoch, index, view);
          const parameters = sampleView(augmentations[view], image.width, image.height, random);
          const batch = views[Math.floor(row / batchSize)]!;
          transform.view(image, parameters, batch[view], (row % batchSize) * viewSize);
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
