import { UsageError } from '../errors.js';
import type { ConfigInput } from './schema.js';
import { closest } from './closest.js';

export interface Preset {
  /** One line, for help texts. */
  readonly description: string;
  readonly config: ConfigInput;
}

/** Starting points (docs/method.md, recipes); a config file or `--set` overrides single keys of one. */
export const presets = {
  'cifar10-resnet20': {
    description: 'ResNet-20 on CIFAR-10, batch 64: the quickstart, sized for a few CPU cores',
    config: {
      encoder: { name: 'resnet20', stem: 'cifar' },
      data: { source: 'cifar10', imageSize: 32 },
      augmentation: { blur: { probability: 0 } },
      method: {
        temperature: 0.1,
        queueSize: 1024,
        keyMomentum: 0.99,
        headInitialization: 'uniform',
        slimStartEpoch: 100,
      },
      optimizer: { weightDecay: 5e-4 },
      schedule: { peak: 0.12 },
      epochs: 200,
      batchSize: 64,
    },
  },
  'cifar10-resnet18': {
    description:
      'ResNet-18 with the CIFAR stem on CIFAR-10, batch 256, at the usual CIFAR settings of MoCo v2',
    config: {
      encoder: { name: 'resnet18', stem: 'cifar' },
      data: { source: 'cifar10', imageSize: 32 },
      augmentation: { blur: { probability: 0 } },
      method: {
        temperature: 0.1,
        queueSize: 4096,
        keyMomentum: 0.99,
        headInitialization: 'uniform',
        slimStartEpoch: 100,
      },
      optimizer: { weightDecay: 5e-4 },
      schedule: { peak: 0.06 },
      epochs: 200,
      batchSize: 256,
    },
  },
  'imagenet-resnet50': {
    description: 'ResNet-50 on a folder of images: MoCo v2, 200 epochs, scaled from batch 1024 to 32',
    config: {
      encoder: { name: 'resnet50', stem: 'imagenet' },
      data: {
        source: 'imagenet',
        imageSize: 224,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
      },
      method: { temperature: 0.2, queueSize: 65536, keyMomentum: 0.999, slimStartEpoch: 100 },
      optimizer: { weightDecay: 1e-4 },
      // The paper's 0.2 at batch 1024, scaled linearly.
      schedule: { peak: (0.2 * 32) / 1024 },
      epochs: 200,
      batchSize: 32,
    },
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
