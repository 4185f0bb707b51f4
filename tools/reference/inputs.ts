import type { Config } from '../../src/config/schema.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import type { Manifest } from '../../src/programs/manifest.js';
import { Random } from '../../src/random.js';

/**
 * Values for everything one training step reads, by the names in README.md: both views, queue, keys, parameters,
 * key parameters, running statistics, SGD velocities. The keys are drawn too, so that every implementation contrasts
 * with the same ones; those that its key encoder computes are compared for themselves.
 *
 * Initial values would hide mistakes: where gamma is 0 the gradients behind it are 0, a key encoder equal to
 * the query encoder does not move, and a velocity of 0 has no momentum. So all of them are drawn, at about
 * the scale they have in a trained network.
 *
 * With a `shift` the betas of three channels of five are about `shift`, so that the next batch norm's inputs have
 * means far from 0, compared with their standard deviations; one is about `-shift`, always off, and one about 0.
 */
export function drawInputs(
  manifest: Manifest,
  config: Config,
  seed: number,
  shift = 0,
): Map<string, TensorData> {
  const inputs = new Map<string, TensorData>();
  /** Uniform over [mean - spread, mean + spread]; each tensor has a stream of its own. */
  const draw = (name: string, shape: readonly number[], mean: number, spread: number): void => {
    const random = new Random(seed, inputs.size);
    const size = shape.reduce((product, d) => product * d, 1);
    const data = Float32Array.from({ length: size }, () => random.uniform(mean - spread, mean + spread));
    inputs.set(name, { dtype: 'float32', shape, data });
  };
  const drawBeta = (name: string, shape: readonly number[]): void => {
    draw(name, shape, 0, 0.2);
    const values = inputs.get(name)!.data as Float32Array;
    for (let i = 0; i < values.length; i++) values[i]! += shift * [0, 1, 1, 1, -1][i % 5]!;
  };
  const lastNorm = manifest.parameters.some(({ name }) => name.includes('.bn3.')) ? '.bn3.' : '.bn2.';
  const drawParameter = (name: string, shape: readonly number[]): void => {
    // Residual branches that add little keep rounding errors from growing block by block: with gamma 1
    // everywhere, ResNet-50's embeddings at batch 16 are 20 times less exact in float32.
    if (name.includes(lastNorm) && name.endsWith('.gamma')) return draw(name, shape, 0.25, 0.1);
    if (name.endsWith('.gamma')) return draw(name, shape, 1, 0.2);
    if (name.endsWith('.beta')) return drawBeta(name, shape);
    if (name.endsWith('.bias')) return draw(name, shape, 0, 0.1);
    const fanIn = shape.slice(1).reduce((product, d) => product * d, 1);
    // Variance 2 / fanIn, which keeps the scale of activations through a ReLU.
    return draw(name, shape, 0, Math.sqrt(6 / fanIn));
  };

  const images = [config.batchSize, 3, config.data.imageSize, config.data.imageSize];
  draw('view1', images, 0, Math.sqrt(3));
  draw('view2', images, 0, Math.sqrt(3));
  draw('queue', [config.method.queueSize, config.method.dimension], 0, 1);
  normalizeRows(inputs.get('queue')!);
  draw('keys', [config.batchSize, config.method.dimension], 0, 1);
  normalizeRows(inputs.get('keys')!);
  for (const { name, shape } of manifest.parameters) {
    drawParameter(name, shape);
    draw(`velocity.${name}`, shape, 0, 0.01);
  }
  for (const { name, shape } of manifest.graphs.find(({ kind }) => kind === 'key')?.inputs ?? []) {
    if (name.startsWith('key.') && !name.includes('.running_')) drawParameter(name, shape as number[]);
  }
  for (const { name, shape } of manifest.statistics) {
    if (name.endsWith('.running_var')) draw(name, shape, 1, 0.5);
    else draw(name, shape, 0, 0.5);
  }
  return inputs;
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
