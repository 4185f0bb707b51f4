import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { configSchema, type Config, type ConfigInput } from '../../src/config/schema.js';
import type { Weights } from '../../src/programs/bindWeights.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { initialWeights } from '../../src/programs/initialWeights.js';
import { networkOf } from '../../src/methods/index.js';
import type { Network } from '../../src/programs/network.js';
import { Random } from '../../src/random.js';
import { writeCheckpoint } from '../../src/training/checkpoint.js';

/** ResNet-20 at two widths on 16 x 16 images, one thread. */
export function tinyConfig(input: ConfigInput = {}): Config {
  return configSchema.parse({
    widths: [1, 0.5],
    method: { kind: 'moco-v2', queueSize: 16 },
    runtime: { threads: 1 },
    epochs: 1,
    batchSize: 8,
    ...input,
    data: { imageSize: 16, ...input.data },
  });
}

/** Weights as training could leave them: no gamma is 0 or 1, no statistic is as initialised. */
export function trainedWeights(network: Network, seed = 1): Weights {
  const initial = initialWeights(network.declarations, seed);
  const random = new Random(seed, 0x74657374);
  const tensors = new Map<string, TensorData>();
  for (const [name, tensor] of initial) {
    const draw = /gamma|running_var/.test(name)
      ? () => random.uniform(0.5, 1.5)
      : /beta|running_mean/.test(name)
        ? () => random.uniform(-0.5, 0.5)
        : null;
    const data = draw ? Float32Array.from(tensor.data as Float32Array, draw) : tensor.data;
    tensors.set(name, { ...tensor, data });
  }
  return tensors;
}

/** A folder of images: each class is a colour with noise, `count` images each. */
export async function writeImages(root: string, count: number, seed: number): Promise<void> {
  const random = new Random(seed);
  for (const [name, colour] of [
    ['blue', [40, 60, 200]],
    ['red', [200, 60, 40]],
  ] as const) {
    // prettier-ignore
    await mkdir(join(root, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const pixels = Uint8Array.from({ length: 3 * 16 * 16 }, (_, p) => colour[p % 3]! + random.integer(40));
      await sharp(pixels, { raw: { width: 16, height: 16, channels: 3 } }).toFile(
        join(root, name, `${i}.png`),
      );
    }
  }
}

export interface TinyRun {
  readonly folder: string;
  readonly config: Config;
  readonly network: Network;
  readonly weights: Weights;
  /** Path of its one checkpoint. */
  readonly checkpoint: string;
  /** Folders of labelled images: 2 classes, 12 and 6 images each. */
  readonly train: string;
  readonly test: string;
}

/** A run folder with one checkpoint, and images, in a new temporary folder. */
export async function makeTinyRun(): Promise<TinyRun> {
  const root = await mkdtemp(join(tmpdir(), 'slimclr-run-'));
  const [folder, train, test] = [join(root, 'run'), join(root, 'train'), join(root, 'test')];
  await writeImages(train, 12, 1);
  await writeImages(test, 6, 2);
  const config = tinyConfig({ data: { source: train } });
  const network = networkOf(config);
  const weights = trainedWeights(network);
  const content = { config, epoch: 1, step: 3, fingerprint: 'images', tensors: weights };
  const { path: checkpoint } = await writeCheckpoint(folder, content, 1);
  return { folder, config, network, weights, checkpoint, train, test };
}
