import { augmentationSchema, viewAugmentations } from '../config/augmentation.js';
import type { Config } from '../config/schema.js';
import { ViewLoader } from '../data/loader.js';
import { floats, int64Vector } from '../engines/hostGraph.js';
import type { TensorData } from '../onnx/safetensors.js';
import { Random } from '../random.js';
import { requireFiniteRows } from './finite.js';
import { encoderBatchSize, type Features, type FrozenEncoder } from './features.js';
import type { LabelledSource } from './labelledImages.js';

/** What a probe trains on. */
export interface ProbeBatches {
  /** Images that fill no batch are left out of an epoch. */
  readonly stepsPerEpoch: number;
  /** Features `[N, C_w]` of every width and labels, int64 `[N]`; valid until the next call. */
  batch(epoch: number, step: number): Promise<ProbeBatch>;
}

export interface ProbeBatch {
  readonly features: readonly TensorData[];
  readonly labels: TensorData;
}

/** First word of the random streams that shuffle. */
const orderStream = 0x70726f62;

/** Batches of features that are known already. */
export class CachedBatches implements ProbeBatches {
  readonly stepsPerEpoch: number;
  /** Of the batch at hand, `[N, C_w]`. */
  readonly #features: readonly TensorData[];
  /** Of the epoch at hand. */
  #order: Uint32Array = new Uint32Array(0);
  #epoch = -1;

  constructor(
    private readonly widths: readonly Features[],
    private readonly labels: Int32Array,
    private readonly batchSize: number,
    private readonly seed: number,
  ) {
    this.stepsPerEpoch = Math.floor(labels.length / batchSize);
    this.#features = widths.map(({ channels }) => emptyRows(batchSize, channels));
  }

  batch(epoch: number, step: number): Promise<ProbeBatch> {
    const { batchSize, labels } = this;
    if (epoch !== this.#epoch) {
      this.#order = new Random(orderStream, this.seed, epoch).permutation(labels.length);
      this.#epoch = epoch;
    }
    const indices = this.#order.subarray(step * batchSize, (step + 1) * batchSize);
    for (const [i, features] of this.widths.entries()) {
      gatherRows(features, indices, this.#features[i]!.data as Float32Array);
    }
    const own = Int32Array.from(indices, (index) => labels[index]!);
    return Promise.resolve({ features: this.#features, labels: int64Vector(own) });
  }
}

/** Random resized crop and flip: what linear evaluation and fine-tuning train on (docs/method.md, evaluation). */
export const cropAndFlip = viewAugmentations(
  augmentationSchema.parse({
    cropScale: [0.08, 1],
    jitter: { probability: 0 },
    grayscale: 0,
    blur: { probability: 0 },
  }),
);

/** Batches of features of augmented views: other ones in every epoch. */
export class AugmentedBatches implements ProbeBatches {
  readonly stepsPerEpoch: number;
  readonly #loader: ViewLoader;
  readonly #features: readonly TensorData[];
  /** Images that are embedded at once. */
  readonly #chunk: number;

  constructor(
    private readonly source: LabelledSource,
    { data }: Config,
    private readonly encoders: readonly FrozenEncoder[],
    batchSize: number,
    seed: number,
  ) {
    const { imageSize, mean, std, workers } = data;
    const options = { seed, batchSize, imageSize, mean, std, augmentations: cropAndFlip, workers };
    this.#loader = new ViewLoader(source, options);
    this.stepsPerEpoch = this.#loader.stepsPerEpoch;
    this.#features = encoders.map(({ channels }) => emptyRows(batchSize, channels));
    this.#chunk = encoderBatchSize(imageSize);
  }

  async batch(epoch: number, step: number): Promise<ProbeBatch> {
    const batch = await this.#loader.batch(epoch, step);
    const [images] = batch.views;
    const labels = int64Vector(batch.labels!);
    const count = batch.indices.length;
    for (let start = 0; start < count; start += this.#chunk) {
      const rows = Math.min(this.#chunk, count - start);
      const size = images.length / count;
      const chunk = images.subarray(start * size, (start + rows) * size);
      for (const [i, encoder] of this.encoders.entries()) {
        const target = this.#features[i]!.data as Float32Array;
        const features = await encoder.features(chunk, rows);
        const { width, channels } = encoder;
        const imageOf = (row: number) => batch.indices[start + row]!;
        requireFiniteRows(features, channels, 'features', { width, source: this.source }, imageOf);
        target.set(features, start * channels);
      }
    }
    this.#loader.recycle(batch);
    return { features: this.#features, labels };
  }

  close(): Promise<void> {
    return this.#loader.close();
  }
}

function emptyRows(rows: number, channels: number): TensorData {
  return floats(new Float32Array(rows * channels), [rows, channels]);
}

/** Rows of features at `indices`, in that order, into `out`. */
export function gatherRows({ channels, data }: Features, indices: Uint32Array, out: Float32Array): void {
  let to = 0;
  for (const index of indices) {
    const end = (index + 1) * channels;
    for (let from = index * channels; from < end; from++) out[to++] = data[from]!;
  }
}
