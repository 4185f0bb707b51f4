import { viewSize, type Config } from '../../src/config/schema.js';
import { elementCount } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { optimizerOf } from '../../src/optimizers/optimizer.js';
import type { Manifest } from '../../src/programs/manifest.js';
import { Random } from '../../src/random.js';

/** What images are drawn: noise everywhere, or objects of it on white and black backgrounds, where pixels are equal. */
export const imageKinds = ['noise', 'flat'] as const;
export type ImageKind = (typeof imageKinds)[number];

export interface DrawOptions {
  readonly seed: number;
  /** See `drawGradientInputs`; default 0. */
  readonly shift?: number;
  /** Default noise. */
  readonly images?: ImageKind;
}

/** White and black after the usual normalisation, by channel. */
const white = [2.249, 2.429, 2.64];
const black = [-2.118, -2.036, -1.804];

/**
 * Values for everything one training step reads, by the names in README.md: what `drawGradientInputs` gives,
 * parameters of the key encoder, slots of the optimiser.
 *
 * Initial values would hide mistakes: where gamma is 0 the gradients behind it are 0, a key encoder equal to
 * the query encoder does not move, and a velocity of 0 has no momentum. So all of them are drawn, at about
 * the scale they have in a trained network.
 */
export function drawInputs(
  manifest: Manifest,
  config: Config,
  options: DrawOptions,
): Map<string, TensorData> {
  const draws = new Draws(manifest, options, drawGradientInputs(manifest, config, options));
  for (const slot of optimizerOf(config.optimizer).slots) {
    // A mean of squares is not negative.
    const [mean, spread] = slot === 'second_moment' ? [1e-4, 5e-5] : [0, 0.01];
    for (const { name, shape } of manifest.parameters) draws.uniform(`${slot}.${name}`, shape, mean, spread);
  }
  const shapes = new Map(manifest.parameters.map(({ name, shape }) => [name, shape]));
  for (const { name, kind } of manifest.graphs.find(({ kind }) => kind === 'key')?.inputs ?? []) {
    if (kind === 'parameter') draws.parameter(name, shapes.get(name.replace(/^key\./, ''))!);
  }
  return draws.values;
}

/**
 * What losses and gradients depend on: views, labels, queue, keys, parameters, running statistics. The keys are drawn,
 * so that every implementation contrasts with the same ones; those that its key encoder computes are compared for
 * themselves.
 *
 * With a `shift` the betas of three channels of five are about `shift`, so that the next batch norm's inputs have
 * means far from 0, compared with their standard deviations; one is about `-shift`, always off, and one about 0.
 */
export function drawGradientInputs(
  manifest: Manifest,
  config: Config,
  options: DrawOptions,
): Map<string, TensorData> {
  const { accumulation, batchSize, method } = config;
  const draws = new Draws(manifest, options, new Map());
  const count = batchSize * accumulation;
  for (const view of ['view1', 'view2']) draws.images(view, [count, 3, viewSize(config), viewSize(config)]);
  if ('queueSize' in method) draws.directions('queue', method.queueSize, method.dimension);
  if (method.kind === 'moco-v2') draws.directions('keys', count, method.dimension);
  if (method.kind === 'moco-v3') {
    draws.directions('keys1', count, method.dimension);
    draws.directions('keys2', count, method.dimension);
  }
  if (method.kind === 'supervised') draws.integers('labels', count, method.classes);
  for (const { name, shape } of manifest.parameters) draws.parameter(name, shape);
  for (const { name, shape } of manifest.statistics) {
    if (name.endsWith('.running_var')) draws.uniform(name, shape, 1, 0.5);
    else draws.uniform(name, shape, 0, 0.5);
  }
  return draws.values;
}

class Draws {
  /** In the name of each residual branch's last batch norm. */
  readonly #lastNorm: string;
  readonly #shift: number;

  constructor(
    manifest: Manifest,
    private readonly options: DrawOptions,
    readonly values: Map<string, TensorData>,
  ) {
    this.#shift = options.shift ?? 0;
    this.#lastNorm = manifest.parameters.some(({ name }) => name.includes('.bn3.')) ? '.bn3.' : '.bn2.';
  }

  /** `[N, 3, H, W]` of standard deviation 1; flat ones are that within a rectangle of half of each side. */
  images(name: string, shape: readonly [number, number, number, number]): void {
    const random = new Random(this.options.seed, this.values.size, 1);
    this.uniform(name, shape, 0, Math.sqrt(3));
    if (this.options.images !== 'flat') return;
    const [count, channels, height, width] = shape;
    const pixels = this.values.get(name)!.data as Float32Array;
    for (let n = 0; n < count; n++) {
      const [top, left] = [height, width].map((extent) => Math.floor(random.uniform(0, extent / 2)));
      const background = n % 2 === 0 ? white : black;
      for (let i = n * channels * height * width; i < (n + 1) * channels * height * width; i++) {
        const [row, column] = [Math.floor(i / width) % height, i % width];
        const inside =
          row >= top! && row < top! + height / 2 && column >= left! && column < left! + width / 2;
        if (!inside) pixels[i] = background[Math.floor(i / (height * width)) % channels]!;
      }
    }
  }

  /** Over [mean - spread, mean + spread]; each tensor has a stream of its own. */
  uniform(name: string, shape: readonly number[], mean: number, spread: number): void {
    const random = new Random(this.options.seed, this.values.size);
    const data = new Float32Array(elementCount(shape));
    for (let i = 0; i < data.length; i++) data[i] = random.uniform(mean - spread, mean + spread);
    this.values.set(name, { dtype: 'float32', shape, data });
  }

  /** Rows of length 1. */
  directions(name: string, rows: number, columns: number): void {
    this.uniform(name, [rows, columns], 0, 1);
    normalizeRows(this.values.get(name)!);
  }

  /** From 0 to `limit` - 1. */
  integers(name: string, count: number, limit: number): void {
    this.uniform(name, [count], limit / 2, limit / 2);
    const data = this.values.get(name)!.data as Float32Array;
    data.forEach((value, i) => (data[i] = Math.min(Math.floor(value), limit - 1)));
  }

  parameter(name: string, shape: readonly number[]): void {
    // Residual branches that add little keep rounding errors from growing block by block: with gamma 1
    // everywhere, ResNet-50's embeddings at batch 16 are 20 times less exact in float32.
    if (name.includes(this.#lastNorm) && name.endsWith('.gamma')) this.uniform(name, shape, 0.25, 0.1);
    else if (name.endsWith('.gamma')) this.uniform(name, shape, 1, 0.2);
    else if (name.endsWith('.bias')) this.uniform(name, shape, 0, 0.1);
    else if (name.endsWith('.beta')) {
      this.uniform(name, shape, 0, 0.2);
      const betas = this.values.get(name)!.data as Float32Array;
      for (let i = 0; i < betas.length; i++) betas[i]! += this.#shift * [0, 1, 1, 1, -1][i % 5]!;
    } else {
      // Variance 2 / fanIn, which keeps the scale of activations through a ReLU.
      this.uniform(name, shape, 0, Math.sqrt(6 / elementCount(shape.slice(1))));
    }
  }
}

function normalizeRows({ data, shape }: TensorData): void {
  const rows = data as Float32Array;
  const width = shape[1]!;
  for (let start = 0; start < rows.length; start += width) {
    const row = rows.subarray(start, start + width);
    const length = Math.hypot(...row);
    row.forEach((value, i) => (row[i] = value / length));
  }
}
