import { Random } from '../random.js';

/** Last words of the names of the random streams that order the images of an epoch, and shuffle those of a step. */
const orderStream = 0x6f726465;
const shuffleStream = 0x73687566;

/** The order in which an epoch visits the images: [length]. */
export function epochOrder(seed: number, epoch: number, length: number): Uint32Array {
  return new Random(seed, epoch, orderStream).permutation(length);
}

/** Last word of the name of the streams that choose among images with a weight that is no whole number. */
const weightStream = 0x77656967;

/** How many of so many images with a weight come once more than it says whole. */
function onceMore(weight: number, count: number): number {
  return Math.round((weight - Math.floor(weight)) * count);
}

/** Images of each weight, in the order in which the weights first come. */
function countByWeight(weights: Float32Array): Map<number, number> {
  const counts = new Map<number, number>();
  for (const weight of weights) counts.set(weight, (counts.get(weight) ?? 0) + 1);
  return counts;
}

/** Images of an epoch, in which each comes as often as its weight says, or once. */
export function epochLength({
  length: images,
  weights,
}: {
  readonly length: number;
  readonly weights?: Float32Array | undefined;
}): number {
  if (!weights) return images;
  let length = 0;
  for (const [weight, count] of countByWeight(weights)) {
    length += Math.floor(weight) * count + onceMore(weight, count);
  }
  return length;
}

/**
 * The order in which an epoch visits images with weights, `[epochLength]`: of an image that comes again its index and so
 * many times the number of images. Which come once more than the weight says whole is drawn for each epoch.
 */
export function weightedOrder(seed: number, epoch: number, weights: Float32Array): Uint32Array {
  const { length } = weights;
  const visits = new Uint32Array(epochLength({ length, weights }));
  let count = 0;
  for (const [g, [weight, ofWeight]] of [...countByWeight(weights)].entries()) {
    const images = new Uint32Array(ofWeight);
    for (let i = 0, to = 0; i < length; i++) if (weights[i] === weight) images[to++] = i;
    const whole = Math.floor(weight);
    for (let time = 0; time < whole; time++)
      for (const image of images) visits[count++] = image + time * length;
    const drawn = new Random(seed, epoch, weightStream, g).permutation(ofWeight);
    const more = drawn.subarray(0, onceMore(weight, ofWeight));
    for (const i of more) visits[count++] = images[i]! + whole * length;
  }
  const order = epochOrder(seed, epoch, count);
  for (let i = 0; i < count; i++) order[i] = visits[order[i]!]!;
  return order;
}

/** Where the images of view 2 of a step stand among those of its view 1, where they are shuffled: [length]. */
export function shuffledPositions(seed: number, step: number, length: number): Uint32Array {
  return new Random(seed, step, shuffleStream).permutation(length);
}

/** Whole batches that images fill. */
export function batchesPerEpoch(images: number, batchSize: number): number {
  return Math.floor(images / batchSize);
}

export interface BatchOrderOptions {
  readonly seed: number;
  /** How often each image comes in an epoch, `[length]`; default: once. */
  readonly weights?: Float32Array | undefined;
  readonly batchSize: number;
  /** Batches of a training step; default 1. Those at the end of an epoch that fill no step are left out. */
  readonly accumulation?: number;
  /** Whether the images of view 2 of a step are in another order than those of view 1, by (seed, step). */
  readonly shuffled?: boolean;
  /** Which of `size` equal parts of a step's batches is asked for, from 0; default: all. */
  readonly share?: { readonly rank: number; readonly size: number };
}

/** Batches that are rendered together, since an image of one may have its view 2 in another. */
export interface BatchGroup {
  readonly epoch: number;
  /** Of its batches, within the epoch. */
  readonly steps: readonly number[];
  /** Of each batch the images of view 1, `[N]`. */
  readonly indices: readonly Uint32Array[];
  /** Of each batch where the images of view 2 stand among those of view 1 of the step, `[N]`; null where they are the same. */
  readonly positions: readonly (Uint32Array | null)[];
  /** Every image that is read, `[I]`. */
  readonly images: Uint32Array;
  /** Where its views go, `[I]`: the row among those of all batches, or -1. */
  readonly rows: readonly [Int32Array, Int32Array];
}

/** Which images the batches of a training hold, by (seed, epoch, step) alone. Batches are numbered over all epochs. */
export class BatchOrder {
  /** Whole batches in an epoch; the images left over differ from epoch to epoch. */
  readonly batchesPerEpoch: number;
  readonly #accumulation: number;
  readonly #stepsPerEpoch: number;
  /** Of a step's batches, those that are asked for. */
  readonly #first: number;
  readonly #count: number;
  readonly #orders = new Map<number, Uint32Array>();

  constructor(
    private readonly length: number,
    private readonly options: BatchOrderOptions,
  ) {
    const { batchSize, accumulation = 1, weights, share: { rank, size } = { rank: 0, size: 1 } } = options;
    this.batchesPerEpoch = batchesPerEpoch(epochLength({ length, weights }), batchSize);
    this.#accumulation = accumulation;
    this.#stepsPerEpoch = Math.floor(this.batchesPerEpoch / accumulation);
    this.#count = accumulation / size;
    this.#first = rank * this.#count;
  }

  /** The batch that is asked for behind another. */
  after(number: number): number {
    const { epoch, step } = this.#place(number);
    const accumulation = this.#accumulation;
    if ((step % accumulation) + 1 < this.#first + this.#count) return number + 1;
    const next = Math.floor(step / accumulation) + 1;
    const first =
      next < this.#stepsPerEpoch ? epoch * this.batchesPerEpoch : (epoch + 1) * this.batchesPerEpoch;
    return first + (next < this.#stepsPerEpoch ? next * accumulation : 0) + this.#first;
  }

  /** The number of the first batch of the group that a batch is of. */
  groupOf(number: number): number {
    if (!this.options.shuffled) return number;
    const { step } = this.#place(number);
    return number - (step % this.#accumulation) + this.#first;
  }

  /** A group by the number of its first batch. */
  group(number: number): BatchGroup {
    return this.options.shuffled ? this.#shuffled(number) : this.#single(number);
  }

  #single(number: number): BatchGroup {
    const { epoch, step } = this.#place(number);
    const { batchSize } = this.options;
    const images = this.#order(epoch).slice(step * batchSize, (step + 1) * batchSize);
    const rows = Int32Array.from(images, (_, i) => i);
    return { epoch, steps: [step], indices: [images], positions: [null], images, rows: [rows, rows] };
  }

  #shuffled(number: number): BatchGroup {
    const { epoch, step: first } = this.#place(number);
    const { batchSize, seed } = this.options;
    const accumulation = this.#accumulation;
    const step = Math.floor(first / accumulation);
    const start = step * accumulation * batchSize;
    const ofStep = this.#order(epoch).subarray(start, start + accumulation * batchSize);
    const all = shuffledPositions(seed, epoch * this.#stepsPerEpoch + step, ofStep.length);
    const from = this.#first * batchSize;
    const count = this.#count * batchSize;
    const own = all.subarray(from, from + count);
    /** Of each position of the step: the rows of its views. */
    const [row1, row2] = [new Int32Array(ofStep.length).fill(-1), new Int32Array(ofStep.length).fill(-1)];
    for (let row = 0; row < count; row++) {
      row1[from + row] = row;
      row2[own[row]!] = row;
    }
    const read = Array.from(ofStep.keys()).filter((i) => row1[i]! >= 0 || row2[i]! >= 0);
    const cut = (values: Uint32Array) =>
      Array.from({ length: this.#count }, (_, i) => values.slice(i * batchSize, (i + 1) * batchSize));
    return {
      epoch,
      steps: Array.from({ length: this.#count }, (_, i) => first + i),
      indices: cut(ofStep.subarray(from, from + count)),
      positions: cut(own),
      images: Uint32Array.from(read, (i) => ofStep[i]!),
      rows: [Int32Array.from(read, (i) => row1[i]!), Int32Array.from(read, (i) => row2[i]!)],
    };
  }

  #place(number: number): { readonly epoch: number; readonly step: number } {
    const step = number % this.batchesPerEpoch;
    return { epoch: (number - step) / this.batchesPerEpoch, step };
  }

  /** Prefetching needs the orders of two epochs at the same time. */
  #order(epoch: number): Uint32Array {
    let order = this.#orders.get(epoch);
    if (!order) {
      const { seed, weights } = this.options;
      order = weights ? weightedOrder(seed, epoch, weights) : epochOrder(seed, epoch, this.length);
      for (const other of this.#orders.keys()) if (this.#orders.size > 1) this.#orders.delete(other);
      this.#orders.set(epoch, order);
    }
    return order;
  }
}
