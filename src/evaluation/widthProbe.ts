import type { InferenceSession } from 'onnxruntime-node';
import { probeProgram, type ProbeOptions } from '../programs/probe.js';
import { Arena } from '../runtime/arena.js';
import { floatTensor, scalarTensor, type RuntimeOptions, type Tensor } from '../runtime/session.js';
import type { Features } from './features.js';
import type { LinearClassifier } from './linearClassifier.js';
import { openGraph } from './openGraph.js';
import { standardization, standardize, withoutStandardization, type Standardization } from './standardize.js';

/** The linear probe of one width while it trains. */
export class WidthProbe {
  /** Scores `[N, classes]` of the last step, before its update. */
  readonly logits: Tensor;
  readonly #parameters: Arena;
  readonly #gradients: Arena;
  readonly #velocity: Float32Array;
  /** Features of the images of a step, `[N, C]`. */
  readonly #batch: Float32Array;
  readonly #standardization: Standardization;
  readonly #features: Features;

  private constructor(
    private readonly session: InferenceSession,
    private readonly options: ProbeOptions,
    raw: Features,
  ) {
    const { classes, channels, batchSize } = options;
    this.#parameters = new Arena([
      { name: 'weight', shape: [classes, channels] },
      { name: 'bias', shape: [classes] },
    ]);
    this.#gradients = new Arena(this.#parameters.entries);
    this.#velocity = new Float32Array(this.#parameters.data.length);
    this.#batch = new Float32Array(batchSize * channels);
    this.#standardization = standardization(raw);
    this.#features = standardize(raw, this.#standardization);
    this.logits = floatTensor(new Float32Array(batchSize * classes), [batchSize, classes]);
  }

  /** A probe with weights 0 on raw features `[n, C]`, which it standardises. */
  static async open(options: ProbeOptions, features: Features, runtime: RuntimeOptions): Promise<WidthProbe> {
    return new WidthProbe(await openGraph(probeProgram(options).graph, runtime), options, features);
  }

  /** One step on the images of `indices`. `labels` is int64 `[N]`; `teacher` their scores under the full width. */
  async step(
    indices: Uint32Array,
    labels: Tensor,
    teacher: Tensor | null,
    optimizer: InferenceSession,
    learningRate: number,
  ): Promise<void> {
    const { batchSize, channels } = this.options;
    gatherRows(this.#features, indices, this.#batch);
    const feeds = {
      features: floatTensor(this.#batch, [batchSize, channels]),
      labels,
      weight: this.#parameters.tensor('weight'),
      bias: this.#parameters.tensor('bias'),
      ...(teacher && { teacher_logits: teacher }),
    };
    await this.session.run(feeds, {
      logits: this.logits,
      'grad.weight': this.#gradients.tensor('weight'),
      'grad.bias': this.#gradients.tensor('bias'),
    });
    const vector = (data: Float32Array) => floatTensor(data, [data.length]);
    const parameter = vector(this.#parameters.data);
    const velocity = vector(this.#velocity);
    await optimizer.run(
      {
        parameter,
        velocity,
        gradient: vector(this.#gradients.data),
        learning_rate: scalarTensor(learningRate),
        weight_decay: scalarTensor(0),
      },
      { new_parameter: parameter, new_velocity: velocity },
    );
  }

  /** The classifier as it is now, of raw features. */
  classifier(): LinearClassifier {
    const { classes, channels } = this.options;
    const [weight, bias] = [this.#parameters.view('weight'), this.#parameters.view('bias')];
    return withoutStandardization({ classes, channels, weight, bias }, this.#standardization);
  }

  close(): Promise<void> {
    return this.session.release();
  }
}

function gatherRows({ channels, data }: Features, indices: Uint32Array, out: Float32Array): void {
  let to = 0;
  for (const index of indices) {
    const end = (index + 1) * channels;
    for (let from = index * channels; from < end; from++) out[to++] = data[from]!;
  }
}
