import { z } from 'zod';
import { augmentationSchema } from './augmentation.js';

const probability = z.number().min(0).max(1);
const positiveInteger = z.int().positive();

/** Names accepted for `encoder.name`, the keys of the registry in src/encoders/index.ts. */
export const encoderNames = [
  'resnet20',
  'resnet32',
  'resnet44',
  'resnet56',
  'resnet18',
  'resnet34',
  'resnet50',
  'resnet101',
] as const;

const distillationSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({
    /** Soft cross entropy on the logits before the contrastive temperature (docs/method.md, online distillation). */
    kind: z.literal('kd'),
    /** a in (1 - a) * InfoNCE + a * KD. */
    weight: probability.default(0.5),
    teacherTemperature: z.number().positive().default(5),
    studentTemperature: z.number().positive().default(5),
  }),
]);

const reweightingSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  /** lambda_full = 1 + sum of the other widths, lambda_other = 1 (docs/method.md, loss re-weighting). */
  z.strictObject({ kind: z.literal('sum-of-others') }),
]);

/**
 * The whole configuration of a run. Unknown keys are rejected; every default is a value here, so the
 * parsed config is complete and is what checkpoints, manifests and reports record.
 */
export const configSchema = z.strictObject({
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0),
  /** Widths, descending, the first one 1. */
  widths: z
    .array(z.number().gt(0).max(1))
    .default([1, 0.75, 0.5, 0.25])
    .refine((widths) => widths[0] === 1, 'must start with 1')
    .refine((widths) => widths.every((w, i) => i === 0 || w < widths[i - 1]!), 'must be strictly descending'),
  encoder: z
    .strictObject({
      name: z.enum(encoderNames).default('resnet20'),
      /** `cifar`: 3x3 stride 1, no max pool. `imagenet`: 7x7 stride 2 and max pool. ResNet-20..56 have the cifar stem only. */
      stem: z.enum(['cifar', 'imagenet']).default('cifar'),
      /** Start the last gamma of each residual branch at 0, so that every block starts as its shortcut (the paper's). */
      zeroInitResidual: z.boolean().default(true),
    })
    .prefault({}),
  data: z
    .strictObject({
      /** `cifar10`, `mnist`, `fashion-mnist`, or the path of a folder of images. */
      source: z.string().min(1).default('cifar10'),
      /** Use this many training images, chosen by the seed; 0 means all. */
      limit: z.int().min(0).default(0),
      /** Side of the square network input in pixels, in evaluation and in exported models. */
      imageSize: positiveInteger.default(32),
      /**
       * Side of the augmented views in pixels; 0 means imageSize. Random crops make objects look larger than
       * evaluation does, so views may be smaller (Touvron et al., Fixing the train-test resolution discrepancy,
       * 2019): 24 for 32 takes half the time.
       */
      viewSize: z.int().min(0).default(0),
      mean: z.tuple([z.number(), z.number(), z.number()]).default([0.4914, 0.4822, 0.4465]),
      std: z
        .tuple([z.number().positive(), z.number().positive(), z.number().positive()])
        .default([0.247, 0.2435, 0.2616]),
      /** Threads that decode and augment. */
      workers: positiveInteger.default(1),
    })
    .prefault({}),
  augmentation: augmentationSchema.prefault({}),
  method: z
    .strictObject({
      name: z.enum(['moco-v2']).default('moco-v2'),
      temperature: z.number().positive().default(0.2),
      queueSize: positiveInteger.default(65536),
      /** Momentum of the key encoder. */
      keyMomentum: probability.default(0.999),
      /** Dimension of the embedding that the loss sees. */
      dimension: positiveInteger.default(128),
      /**
       * Weights of the head at the start. `normal`: N(0, 0.01), biases 0, the paper's. `uniform`: within
       * 1 / sqrt(inputs), PyTorch's default and MoCo's; features of small encoders collapse without it.
       */
      headInitialization: z.enum(['normal', 'uniform']).default('normal'),
      /** Epoch from which the sub-networks train (slow start); 0 means from the beginning. */
      slimStartEpoch: z.int().min(0).default(0),
      distillation: distillationSchema.prefault({ kind: 'kd' }),
      reweighting: reweightingSchema.prefault({ kind: 'sum-of-others' }),
    })
    .prefault({}),
  optimizer: z
    .strictObject({
      name: z.enum(['sgd']).default('sgd'),
      momentum: z.number().min(0).lt(1).default(0.9),
      weightDecay: z.number().min(0).default(1e-4),
      /** Roles of the parameters that decay. The reference implementation decays gamma too (docs/method.md, recipes). */
      decay: z
        .array(z.enum(['weight', 'bias', 'gamma', 'beta']))
        .refine((roles) => new Set(roles).size === roles.length, 'must not name a role twice')
        .default(['weight', 'gamma']),
    })
    .prefault({}),
  schedule: z
    .strictObject({
      /** Peak learning rate, at this config's batch size. */
      peak: z.number().positive().default(0.03),
      /** Share of all steps in linear warm-up. */
      warmup: probability.default(0.05),
      warmupFrom: z.number().min(0).default(1e-8),
    })
    .prefault({}),
  epochs: positiveInteger.default(200),
  batchSize: positiveInteger.default(256),
  checkpoint: z
    .strictObject({
      everyEpochs: positiveInteger.default(1),
      /** Checkpoints kept, newest first. */
      keep: positiveInteger.default(3),
    })
    .prefault({}),
  runtime: z
    .strictObject({
      /**
       * What the training graphs are made of. `portable`: standard ONNX operators. `cpu`: ONNX Runtime's blocked
       * kernels, several times as fast on x64 processors. `auto`: `cpu` where the provider is `cpu`, else `portable`.
       */
      target: z.enum(['auto', 'portable', 'cpu']).default('auto'),
      /**
       * Where lowerings of the cpu target compete: `auto` measures them at first use of a config on a machine, which
       * takes seconds; `off` takes the built-in choices.
       */
      tune: z.enum(['auto', 'off']).default('auto'),
      provider: z.enum(['cpu', 'webgpu', 'cuda']).default('cpu'),
      /** Threads of ONNX Runtime; 0 means one a core. */
      threads: z.int().min(0).default(0),
    })
    .prefault({}),
});

export type Config = z.infer<typeof configSchema>;
/** What a config file or a preset may hold: every key optional. */
export type ConfigInput = z.input<typeof configSchema>;
export type EncoderName = (typeof encoderNames)[number];

/** Side of the views that training sees, in pixels. */
export function viewSize({ data }: Pick<Config, 'data'>): number {
  return data.viewSize === 0 ? data.imageSize : data.viewSize;
}

/** The target that training graphs are lowered for. */
export function targetName({ target, provider }: Config['runtime']): 'portable' | 'cpu' {
  return target !== 'auto' ? target : provider === 'cpu' ? 'cpu' : 'portable';
}
