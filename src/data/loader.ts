import { Worker } from 'node:worker_threads';
import type { ViewAugmentation } from '../config/augmentation.js';
import { SlimclrError } from '../errors.js';
import { threadsWithin } from '../limits.js';
import { Random } from '../random.js';
import type { Job, Reply, WorkerSetup } from './loaderWorker.js';
import { openSource, type ImageSource, type SkippedFile } from './source.js';
import type { ChannelStatistics } from './transform.js';

type Views = Job['views'];

/** Two augmented views of each of N images. */
export interface ViewBatch {
  readonly epoch: number;
  readonly step: number;
  /** [N], indices of the images in the source. */
  readonly indices: Uint32Array;
  /** [N], class indices of the images; null where the source has no labels. */
  readonly labels: Int32Array | null;
  /**
   * [N, 3, S, S] each, in shared memory: to transfer ordinary buffers would count as allocation on this side,
   * and start a collection of the whole heap every other batch.
   */
  readonly views: Views;
}

/** How batches are made of the images of a source. */
export interface BatchOptions {
  readonly seed: number;
  readonly batchSize: number;
  /** S, side of a view in pixels. */
  readonly imageSize: number;
  readonly mean: ChannelStatistics;
  readonly std: ChannelStatistics;
  /** Of the first and the second view. */
  readonly augmentations: readonly [ViewAugmentation, ViewAugmentation];
  /** Worker threads. */
  readonly workers: number;
  /** Batches to prepare ahead; default one a worker. */
  readonly prefetch?: number;
}

export interface LoaderOptions extends BatchOptions {
  /** Name or path, as `openSource` takes; or a source that is open already, which `limit` then does not change. */
  readonly source: string | ImageSource;
  /** At most this many images, chosen by the seed; 0 means all. */
  readonly limit: number;
  readonly cacheDirectory?: string;
  readonly onProgress?: (message: string) => void;
  /** Aborting it ends the opening with its reason. */
  readonly signal?: AbortSignal;
}

interface Request {
  readonly epoch: number;
  readonly step: number;
  readonly indices: Uint32Array;
  readonly views: Views;
  readonly resolve: (batch: ViewBatch) => void;
  readonly reject: (error: Error) => void;
}

interface Lane {
  readonly worker: Worker;
  /** Requests it has not answered, by id. */
  readonly requests: Map<number, Request>;
}

/**
 * Decodes and augments in worker threads, ahead of the training. A batch depends on (seed, epoch, step) only:
 * not on the number of workers, on timing, or on where the run started.
 */
export class ViewLoader {
  /** Images. */
  readonly length: number;
  /** Whole batches in an epoch; the images left over differ from epoch to epoch. */
  readonly stepsPerEpoch: number;
  /** Identity of the images (`ImageSource`). */
  readonly fingerprint: string;
  readonly earlierFingerprint: string | null;
  /** Class names, which labels are indices into; null where the source has no labels. */
  readonly classes: readonly string[] | null;

  readonly #labels: Int32Array | null;
  readonly #options: BatchOptions;
  readonly #prefetch: number;
  readonly #lanes: readonly Lane[];
  readonly #skipped: Map<string, SkippedFile>;
  /** Batches asked for or prepared ahead, by number since the beginning of training. */
  readonly #ahead = new Map<number, Promise<ViewBatch>>();
  readonly #orders = new Map<number, Uint32Array>();
  readonly #free: Views[] = [];
  readonly #recycled = new WeakSet<ViewBatch>();
  #nextId = 0;
  #failure: Error | null = null;

  /**
   * Open the source, unless it is open, downloading it if need be, and start the workers. Errors are those of
   * `openSource`.
   */
  static async open(options: LoaderOptions): Promise<ViewLoader> {
    const { source } = options;
    return new ViewLoader(typeof source === 'string' ? await openSource(source, options) : source, options);
  }

  /** Starts the workers on the images of `source`. */
  constructor(source: ImageSource, options: BatchOptions) {
    this.length = source.length;
    this.stepsPerEpoch = Math.floor(source.length / options.batchSize);
    this.fingerprint = source.fingerprint;
    this.earlierFingerprint = source.earlierFingerprint;
    this.classes = source.classes;
    this.#labels = source.labels;
    this.#options = options;
    this.#prefetch = options.prefetch ?? options.workers;
    this.#skipped = new Map(source.skipped.map((file) => [file.path, file]));
    const { seed, imageSize, mean, std, augmentations } = options;
    const setup: WorkerSetup = { store: source.store, seed, imageSize, mean, std, augmentations };
    this.#lanes = Array.from({ length: threadsWithin(options.workers) }, () => this.#startLane(setup));
  }

  /** Files passed over so far. */
  get skipped(): readonly SkippedFile[] {
    return [...this.#skipped.values()];
  }

  /**
   * The batch of a step of an epoch, both counted from 0. The batches after it, across the end of the epoch
   * too, are prepared meanwhile.
   * @throws SlimclrError when a worker has failed or the loader is closed.
   */
  batch(epoch: number, step: number): Promise<ViewBatch> {
    if (step < 0 || step >= this.stepsPerEpoch) {
      throw new RangeError(`step ${step} of an epoch of ${this.stepsPerEpoch} steps`);
    }
    const number = epoch * this.stepsPerEpoch + step;
    const end = number + this.#prefetch;
    for (const [other, promise] of this.#ahead) {
      if (other >= number && other <= end) continue;
      this.#ahead.delete(other);
      promise.then((batch) => this.recycle(batch)).catch(() => {});
    }
    for (let n = number; n <= end; n++) {
      if (!this.#ahead.has(n)) this.#ahead.set(n, this.#request(n));
    }
    const promise = this.#ahead.get(number)!;
    this.#ahead.delete(number);
    return promise;
  }

  /** Hand back the memory of a batch that is no longer needed: a later batch is written over it. */
  recycle(batch: ViewBatch): void {
    if (this.#recycled.has(batch)) return;
    this.#recycled.add(batch);
    this.#free.push(batch.views);
  }

  /** Stop the workers; batches that are still awaited are rejected. */
  async close(): Promise<void> {
    this.#fail(new SlimclrError('the image loader was closed'));
    await Promise.all(this.#lanes.map(({ worker }) => worker.terminate()));
  }

  #startLane(setup: WorkerSetup): Lane {
    const worker = new Worker(new URL('./loaderWorker.js', import.meta.url), { workerData: setup });
    const lane: Lane = { worker, requests: new Map() };
    worker.on('message', (reply: Reply) => this.#settle(lane, reply));
    worker.on('error', (cause) =>
      this.#fail(new SlimclrError(`image loading failed: ${cause.message}`, { cause })),
    );
    worker.on('exit', (code) => {
      this.#fail(new SlimclrError(`image loading failed: a worker thread stopped with exit code ${code}`));
    });
    return lane;
  }

  #request(number: number): Promise<ViewBatch> {
    if (this.#failure) return Promise.reject(this.#failure);
    const { batchSize, imageSize } = this.#options;
    const step = number % this.stepsPerEpoch;
    const epoch = (number - step) / this.stepsPerEpoch;
    const indices = this.#order(epoch).slice(step * batchSize, (step + 1) * batchSize);
    const bytes = 4 * batchSize * 3 * imageSize * imageSize;
    const allocate = () => new Float32Array(new SharedArrayBuffer(bytes));
    const views = this.#free.pop() ?? ([allocate(), allocate()] as const);
    const lane = this.#lanes.reduce((a, b) => (b.requests.size < a.requests.size ? b : a));
    const id = this.#nextId++;
    const job: Job = { id, epoch, indices, views };
    const promise = new Promise<ViewBatch>((resolve, reject) => {
      lane.requests.set(id, { epoch, step, indices, views, resolve, reject });
      lane.worker.postMessage(job);
    });
    // A batch prepared ahead may fail before, or without, anybody awaiting it.
    promise.catch(() => {});
    return promise;
  }

  #settle(lane: Lane, reply: Reply): void {
    const request = lane.requests.get(reply.id);
    if (!request) return;
    lane.requests.delete(reply.id);
    const { epoch, step, indices, views } = request;
    if ('error' in reply) {
      const message = reply.error instanceof Error ? reply.error.message : String(reply.error);
      request.reject(
        new SlimclrError(`image loading failed in epoch ${epoch}, step ${step}: ${message}`, {
          cause: reply.error,
        }),
      );
      return;
    }
    for (const file of reply.unreadable) this.#skipped.set(file.path, file);
    const all = this.#labels;
    // A file that stands in for a damaged one is of the same class.
    const labels = all && Int32Array.from(indices, (index) => all[index]!);
    request.resolve({ epoch, step, indices, labels, views });
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { requests } of this.#lanes) {
      for (const { reject } of requests.values()) reject(this.#failure);
      requests.clear();
    }
  }

  /** Prefetching needs the orders of two epochs at the same time. */
  #order(epoch: number): Uint32Array {
    let order = this.#orders.get(epoch);
    if (!order) {
      order = epochOrder(this.#options.seed, epoch, this.length);
      for (const other of this.#orders.keys()) if (this.#orders.size > 1) this.#orders.delete(other);
      this.#orders.set(epoch, order);
    }
    return order;
  }
}

/** Last word of the name of the random stream that shuffles. */
const orderStream = 0x6f726465;

/** The order in which an epoch visits the images: [length]. */
export function epochOrder(seed: number, epoch: number, length: number): Uint32Array {
  return new Random(seed, epoch, orderStream).permutation(length);
}
