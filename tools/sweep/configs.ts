import { parseConfig } from '../../src/config/load.js';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import type { MethodName } from '../../src/config/methods.js';
import { SlimclrError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import type { ImageKind } from '../reference/inputs.js';

/** A config of a few steps, and the images it sees. */
export interface DrawnConfig {
  readonly config: Config;
  readonly images: ImageKind;
}

export interface ConfigDraw {
  readonly seed: number;
  readonly index: number;
  /** Networks and images that take part of a second only. */
  readonly small?: boolean;
}

type Encoder = NonNullable<ConfigInput['encoder']>;

/**
 * A random config: encoder, stem, image size, batch, widths that end within blocks of channels, accumulation, method,
 * distillation, re-weighting, head, weights, optimiser. The same draw gives the same config.
 */
export function drawConfig({ seed, index, small = false }: ConfigDraw): DrawnConfig {
  // What contradicts itself is refused with a reason, and drawn again.
  for (let attempt = 0; attempt < 100; attempt++) {
    const random = new Random(seed, index, attempt);
    const input = drawInput(random, small);
    const images = random.integer(2) === 0 ? 'noise' : 'flat';
    try {
      return { config: parseConfig(input), images };
    } catch (error) {
      if (!(error instanceof SlimclrError)) throw error;
    }
  }
  throw new Error(`seed ${seed}, config ${index}: 100 configs in a row are refused`);
}

function drawInput(random: Random, small: boolean): ConfigInput {
  const one = <T>(choices: readonly T[]): T => choices[random.integer(choices.length)]!;
  const between = (low: number, high: number) => low + random.integer(high - low + 1);
  const encoder: Encoder = {
    ...(small ? one(smallEncoders) : one(encoders)),
    zeroInitResidual: one([true, false]),
  };
  const imagenet = encoder.stem === 'imagenet';
  const large = encoder.name !== 'resnet20';
  const imageSize = between(16, small ? (imagenet ? 38 : 18) : imagenet || !large ? 70 : 34);
  const weights = one(['overlapping', 'overlapping', 'non-overlapping'] as const);
  const batchSize = between(2, small ? 4 : 12);
  const accumulation = batchSize > 6 ? 1 : one([1, 1, 1, 2, 3]);
  const widths = one(weights === 'overlapping' ? overlapping : nonOverlapping);
  return {
    encoder,
    widths: small ? widths.slice(0, 2) : widths,
    data: { imageSize },
    batchSize,
    accumulation,
    method: methodOf(one(methodNames), 2 * batchSize * accumulation, random),
    techniques: {
      weights,
      head: one(['slimmable', 'switchable']),
      distillation: { kind: one(distillations), ...(one([true, false]) && { teachers: 'larger' }) } as never,
      reweighting: { kind: one(reweightings) },
    },
    optimizer: one(optimizers),
    epochs: 10,
    seed: random.integer(2 ** 31),
    runtime: { threads: small ? 1 : 0, tune: 'off' },
  };
}

const smallEncoders = [
  { name: 'resnet20', stem: 'cifar' },
  { name: 'resnet20', stem: 'cifar' },
  { name: 'resnet20', stem: 'cifar' },
  { name: 'resnet18', stem: 'imagenet' },
] as const satisfies readonly Encoder[];
const encoders = [
  ...smallEncoders,
  { name: 'resnet32', stem: 'cifar' },
  { name: 'resnet18', stem: 'cifar' },
  { name: 'resnet18', stem: 'imagenet' },
  { name: 'resnet34', stem: 'imagenet' },
  { name: 'resnet50', stem: 'imagenet' },
  { name: 'resnet50', stem: 'cifar' },
] as const satisfies readonly Encoder[];
const overlapping = [[1], [1, 0.5], [1, 0.7, 0.33], [1, 0.9, 0.1], [1, 0.6, 0.3, 0.15], [1, 0.75, 0.5, 0.25]];
const nonOverlapping = [
  [1, 0.5, 0.25],
  [1, 0.9, 0.1],
  [1, 0.4, 0.33],
  [1, 0.7],
  [1, 0.45, 0.3, 0.2],
];
const methodNames: readonly MethodName[] = ['moco-v2', 'moco-v3', 'simclr', 'supervised', 'seed'];
const distillations = [
  'none',
  'kd-logits',
  'kd-features',
  'mse-features',
  'mse-logits',
  'dkd',
  'atkd',
] as const;
const reweightings = ['none', 'sum-of-others', 'second-largest', 'width', 'cumulative'] as const;
const optimizers = [
  { kind: 'sgd' },
  { kind: 'sgd', nesterov: true, clipNorm: 0.1 },
  { kind: 'lars', weightDecay: 0.01 },
  { kind: 'adamw', weightDecay: 0.01 },
] as const satisfies readonly NonNullable<ConfigInput['optimizer']>[];

function methodOf(kind: MethodName, rows: number, random: Random): NonNullable<ConfigInput['method']> {
  const dimension = 8 + random.integer(17);
  switch (kind) {
    case 'moco-v2':
      return { kind, queueSize: 4 * rows, dimension, keyMomentum: 0.9 };
    case 'moco-v3':
      return { kind, hiddenDimension: 40, dimension, keyMomentum: 0.9, temperature: 0.5 };
    case 'simclr':
      return { kind, hiddenDimension: 40, dimension };
    case 'supervised':
      return { kind, classes: 2 + random.integer(12) };
    case 'seed':
      // The trial writes a teacher of its own.
      return { kind, queueSize: 4 * rows, dimension, teacher: 'teacher.onnx' };
  }
}
