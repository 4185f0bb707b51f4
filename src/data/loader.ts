import { Worker } from 'node:worker_threads';
import type { ViewAugmentation } from '../config/augmentation.js';
import { SlimclrError } from '../errors.js';
import { threadsWithin } from '../limits.js';
import { BatchOrder, type BatchGroup, type BatchOrderOptions } from './batchOrder.js';
import type { Job, Reply, Views, WorkerSetup } from './loaderWorker.js';
import { openSource, type ImageSource, type SkippedFile } from './source.js';
import type { ChannelStatistics } from './transform.js';

/** Two augmented views of each of N images. */
export interface ViewBatch {
  readonly epoch: number;
  readonly step: number;
  /** [N], indices in the source of the images of view 1. */
  readonly indices: Uint32Array;
  /** [N], where the images of view 2 stand among those of view 1 of the step; null where they are the same. */
  readonly shuffled: Uint32Array | null;
  /** [N], class indices of the images of view 1; null where the source has no labels. */
  readonly labels: Int32Array | null;
  /**
   * [N, C, S, S] each, in shared memory: to transfer ordinary buffers would count as allocation on this side,
   * and start a collection of the whole heap every other batch.
   */
  readonly views: Views;
}

/** How batches are made of the images of a source. */
export interface BatchOptions extends BatchOrderOptions {
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
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A batch asked for or prepared ahead. */
interface Ahead {
  /** Number of the first batch of its group. */
  readonly group: number;
  readonly batch: Promise<ViewBatch>;
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
  readonly #order: BatchOrder;
  /** By number since the beginning of training. */
  readonly #ahead = new Map<number, Ahead>();
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
    this.#order = new BatchOrder(source.length, { ...options, weights: source.weights });
    this.stepsPerEpoch = this.#order.batchesPerEpoch;
    this.fingerprint = source.fingerprint;
    this.earlierFingerprint = source.earlierFingerprint;
    this.classes = source.classes;
    this.#labels = source.labels;
    this.#options = options;
    this.#prefetch = options.prefetch ?? options.workers;
    this.#skipped = new Map(source.skipped.map((file) => [file.path, file]));
    const { seed, batchSize, imageSize, mean, std, augmentations } = options;
    const setup: WorkerSetup = {
      ...{ store: source.store, seed, batchSize, imageSize, mean, std, augmentations },
    };
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
    const numbers = [number];
    for (let i = 0; i < this.#prefetch; i++) numbers.push(this.#order.after(numbers[i]!));
    const groups = new Set(numbers.map((wanted) => this.#order.groupOf(wanted)));
    for (const [other, { group }] of this.#ahead) {
      if (other < number || !groups.has(group)) this.#drop(other);
    }
    for (const wanted of numbers) if (!this.#ahead.has(wanted)) this.#request(this.#order.groupOf(wanted));
    const { batch } = this.#ahead.get(number)!;
    this.#ahead.delete(number);
    return batch;
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

  /** A batch prepared ahead that nobody is going to ask for. */
  #drop(number: number): void {
    const ahead = this.#ahead.get(number);
    this.#ahead.delete(number);
    ahead?.batch.then((batch) => this.recycle(batch)).catch(() => {});
  }

  /** Prepares the batches of a group, by the number of its first. */
  #request(first: number): void {
    const group = this.#order.group(first);
    const { epoch, steps, indices, positions } = group;
    const views = steps.map(() => this.#free.pop() ?? this.#allocate());
    const rendered = this.#render(group, views);
    for (const [i, step] of steps.entries()) {
      const all = this.#labels;
      // A file that stands in for a damaged one is of the same class.
      // An image that comes again has another number.
      const own = indices[i]!.map((index) => index % this.length);
      const labels = all && Int32Array.from(own, (index) => all[index]!);
      const made = { epoch, step, indices: own, shuffled: positions[i]!, labels, views: views[i]! };
      const batch = rendered.then(() => made);
      // A batch prepared ahead may fail before, or without, anybody awaiting it.
      batch.catch(() => {});
      this.#drop(first + i);
      this.#ahead.set(first + i, { group: first, batch });
    }
  }

  /** Renders the views of a group, as many images at a time as a batch has. */
  async #render({ epoch, steps, images, rows }: BatchGroup, views: readonly Views[]): Promise<void> {
    const { batchSize } = this.#options;
    const jobs: Promise<void>[] = [];
    for (let start = 0; start < images.length; start += batchSize) {
      const cut = <T extends Uint32Array | Int32Array>(values: T) =>
        values.slice(start, start + batchSize) as T;
      const job = { epoch, indices: cut(images), rows: [cut(rows[0]), cut(rows[1])] as const, views };
      jobs.push(this.#send(job, steps[0]!));
    }
    await Promise.all(jobs);
  }

  /** `step`: for messages. */
  #send(job: Omit<Job, 'id'>, step: number): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    const lane = this.#lanes.reduce((a, b) => (b.requests.size < a.requests.size ? b : a));
    const id = this.#nextId++;
    return new Promise<void>((resolve, reject) => {
      lane.requests.set(id, { epoch: job.epoch, step, resolve, reject });
      lane.worker.postMessage({ id, ...job } satisfies Job);
    });
  }

  #allocate(): Views {
    const { batchSize, imageSize, mean } = this.#options;
    const bytes = 4 * batchSize * mean.length * imageSize * imageSize;
    const view = () => new Float32Array(new SharedArrayBuffer(bytes));
    return [view(), view()];
  }

  #settle(lane: Lane, reply: Reply): void {
    const request = lane.requests.get(reply.id);
    if (!request) return;
    lane.requests.delete(reply.id);
    const { epoch, step } = request;
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
    request.resolve();
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const { requests } of this.#lanes) {
      for (const { reject } of requests.values()) reject(this.#failure);
      requests.clear();
    }
  }
}
