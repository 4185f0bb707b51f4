import { UsageError } from '../errors.js';
import type { ConfigInput, EncoderName } from './schema.js';
import { closest } from './closest.js';

export interface Preset {
  /** One line, for help texts. */
  readonly description: string;
  readonly config: ConfigInput;
}

type Method = NonNullable<ConfigInput['method']>;

/** All widths after half of the epochs, as in the paper's runs. */
const afterHalf = (epochs: number) => ({
  epochs,
  techniques: { slowStart: { kind: 'full-width-first' as const, epochs: epochs / 2 } },
});

/** The small networks' features collapse with the paper's initialisation of the head (docs/method.md). */
const uniform = { headInitialization: 'uniform' as const };

const cifarMocoV2 = { kind: 'moco-v2', temperature: 0.1, keyMomentum: 0.99, ...uniform } as const;
/** At batch sizes of hundreds, where MoCo v3 and SimCLR need hotter similarities than the paper's at 1024. */
const cifarMocoV3 = {
  kind: 'moco-v3',
  temperature: 0.2,
  hiddenDimension: 512,
  dimension: 128,
  ...uniform,
} as const;
const cifarSimclr = { kind: 'simclr', temperature: 0.2, hiddenDimension: 512, ...uniform } as const;

/** A network with the CIFAR stem on CIFAR-10. */
const onCifar10 =
  (name: EncoderName, batchSize: number, peak: number) =>
  (method: Method): ConfigInput => ({
    encoder: { name, stem: 'cifar' },
    data: { source: 'cifar10', imageSize: 32 },
    augmentation: { blur: { probability: 0 } },
    method,
    ...afterHalf(200),
    optimizer: { kind: 'sgd', weightDecay: 5e-4 },
    schedule: { kind: 'cosine', peak },
    batchSize,
  });

/** Sized for a few CPU cores. */
const resnet20 = onCifar10('resnet20', 64, 0.12);
/** At the field's usual CIFAR settings. */
const resnet18 = onCifar10('resnet18', 256, 0.06);

/** The paper's ResNet-50 on ImageNet: total batch 1024, in micro-batches of 32. */
const imagenet = (epochs: number, recipe: ConfigInput): ConfigInput => ({
  encoder: { name: 'resnet50', stem: 'imagenet' },
  data: {
    source: 'imagenet',
    imageSize: 224,
    mean: [0.485, 0.456, 0.406],
    std: [0.229, 0.224, 0.225],
  },
  ...afterHalf(epochs),
  batchSize: 32,
  accumulation: 32,
  ...recipe,
});

const imagenetMocoV2 = {
  method: { kind: 'moco-v2', temperature: 0.2, queueSize: 65536, keyMomentum: 0.999 },
  optimizer: { kind: 'sgd', weightDecay: 1e-4 },
} as const;

/** Crops and flips: what labels are trained with. */
const supervisedAugmentation = {
  cropScale: [0.08, 1],
  jitter: { probability: 0 },
  grayscale: 0,
  blur: { probability: 0 },
} satisfies ConfigInput['augmentation'];

/** Starting points (docs/method.md, recipes); a config file or `--set` overrides single keys of one. */
export const presets = {
  'cifar10-resnet20': {
    description: 'MoCo v2, ResNet-20 on CIFAR-10, batch 64: the quickstart, sized for a few CPU cores',
    config: resnet20({ ...cifarMocoV2, queueSize: 1024 }),
  },
  'cifar10-resnet20-moco-v3': {
    description: 'MoCo v3, ResNet-20 on CIFAR-10, batch 64',
    config: resnet20(cifarMocoV3),
  },
  'cifar10-resnet20-simclr': {
    description: 'SimCLR, ResNet-20 on CIFAR-10, batch 64',
    config: resnet20(cifarSimclr),
  },
  'cifar10-resnet20-supervised': {
    description: 'supervised slimmable training of ResNet-20 on CIFAR-10, all widths from the start',
    config: {
      ...resnet20({ kind: 'supervised', classes: 10, ...uniform }),
      augmentation: supervisedAugmentation,
      techniques: {
        slowStart: { kind: 'none' },
        distillation: { kind: 'none' },
        reweighting: { kind: 'none' },
      },
    },
  },
  'cifar10-resnet18': {
    description: 'MoCo v2, ResNet-18 with the CIFAR stem on CIFAR-10, batch 256, at the usual settings',
    config: resnet18({ ...cifarMocoV2, queueSize: 4096 }),
  },
  'cifar10-resnet18-moco-v3': {
    description: 'MoCo v3, ResNet-18 with the CIFAR stem on CIFAR-10, batch 256',
    config: resnet18(cifarMocoV3),
  },
  'cifar10-resnet18-simclr': {
    description: 'SimCLR, ResNet-18 with the CIFAR stem on CIFAR-10, batch 256',
    config: resnet18(cifarSimclr),
  },
  images: {
    description: 'MoCo v2, ResNet-18 at 64 pixels on a folder of your own images: set data.source',
    config: {
      encoder: { name: 'resnet18', stem: 'imagenet' },
      data: {
        source: 'images',
        imageSize: 64,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
      },
      method: { ...cifarMocoV2, temperature: 0.2, queueSize: 4096 },
      ...afterHalf(200),
      optimizer: { kind: 'sgd', weightDecay: 1e-4 },
      schedule: { kind: 'cosine', peak: 0.03 },
      batchSize: 128,
    },
  },
  'imagenet-resnet50': {
    description: 'MoCo v2, ResNet-50, 200 epochs, total batch 1024: the paper on a folder of images',
    config: imagenet(200, { ...imagenetMocoV2, schedule: { kind: 'cosine', peak: 0.2, warmup: 0.05 } }),
  },
  'imagenet-resnet50-800': {
    description: 'MoCo v2, ResNet-50, 800 epochs, total batch 1024: the paper on a folder of images',
    config: imagenet(800, { ...imagenetMocoV2, schedule: { kind: 'cosine', peak: 0.2, warmup: 0.0125 } }),
  },
  'imagenet-resnet50-moco-v3': {
    description: 'MoCo v3, ResNet-50, 300 epochs, total batch 1024: the paper on a folder of images',
    config: imagenet(300, {
      augmentation: {
        jitter: { brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1 },
        blur: { probability: [1, 0.1] },
        solarize: [0, 0.2],
      },
      method: { kind: 'moco-v3', temperature: 1, keyMomentum: 0.99 },
      techniques: {
        slowStart: { kind: 'full-width-first', epochs: 150, peak: 3.2 },
        distillation: { kind: 'kd-logits', teacherTemperature: 1, studentTemperature: 1 },
      },
      optimizer: { kind: 'lars', weightDecay: 1e-6 },
      schedule: { kind: 'cosine', peak: 1.2, warmup: 10 / 300 },
    }),
  },
  'imagenet-resnet50-simclr': {
    description: 'SimCLR, ResNet-50, 100 epochs, total batch 1024: the paper on a folder of images',
    config: imagenet(100, {
      augmentation: {
        cropScale: [0.08, 1],
        jitter: { brightness: 0.8, contrast: 0.8, saturation: 0.8, hue: 0.2 },
      },
      method: { kind: 'simclr', temperature: 0.1 },
      optimizer: { kind: 'lars', weightDecay: 1e-6 },
      schedule: { kind: 'cosine', peak: 2.4, warmup: 0.1 },
    }),
  },
  'imagenet-resnet50-supervised': {
    description: 'supervised slimmable ResNet-50 (Yu et al.), 100 epochs, total batch 512, a folder a class',
    config: imagenet(100, {
      augmentation: supervisedAugmentation,
      accumulation: 16,
      method: { kind: 'supervised', classes: 1000 },
      techniques: {
        slowStart: { kind: 'none' },
        distillation: { kind: 'none' },
        reweighting: { kind: 'none' },
      },
      optimizer: { kind: 'sgd', weightDecay: 1e-4 },
      schedule: { kind: 'cosine', peak: 0.2, warmup: 0.05 },
    }),
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;

/** The preset of that name. Throws UsageError that names the accepted ones. */
export function findPreset(name: string): Preset {
  const names = Object.keys(presets);
  if (!Object.hasOwn(presets, name)) {
    const near = closest(name, names);
    const hint = near === undefined ? '' : `; did you mean "${near}"?`;
    throw new UsageError(`config: unknown preset "${name}"; accepted: ${names.join(', ')}${hint}`);
  }
  return presets[name as PresetName];
}
