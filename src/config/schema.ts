import { z } from 'zod';
import { augmentationSchema } from './augmentation.js';
import { methodSchema } from './methods.js';
import { continuedSchema, optimizerSchema, scheduleSchema } from './optimization.js';
import { techniquesSchema } from './techniques.js';

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

/** What `monitor.criterion` may be. */
export const monitorCriteria = ['mean', 'full'] as const;

const validations = 'a share below 1, such as 5% or 0.05, or a number of images';
/** A share below 1, as a number or in percent, or a number of images. */
const validationSchema = z
  .union([z.number(), z.string()])
  .meta({ description: validations })
  .transform((given, context) => {
    const percent = typeof given === 'string' ? /^\s*(\d+(?:\.\d+)?)\s*%\s*$/.exec(given)?.[1] : undefined;
    // Read as a decimal: a division by 100 may give another number than the same share without a percent sign.
    const value = typeof given === 'number' ? given : percent === undefined ? NaN : Number(`${percent}e-2`);
    const isShare = value >= 0 && value < 1;
    if (isShare || (typeof given === 'number' && Number.isSafeInteger(given) && given > 0)) return value;
    context.addIssue({ code: 'custom', message: `must be ${validations}` });
    return z.NEVER;
  });

/** Evaluation while training goes on; it changes nothing of training (docs/method.md, evaluation). */
const monitorSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({
    /** Weighted kNN on the features of every width. */
    kind: z.literal('knn'),
    everyEpochs: positiveInteger.default(5),
    /**
     * Labelled images: the name of a data set, whose training images are the neighbours and whose test images are
     * classified, or a folder with a folder a class, of which every fifth image is classified. Empty: data.source; with
     * data.validation the training images are the neighbours, and those held out are classified.
     */
    source: z.string().default(''),
    /** Images at most that are neighbours, and at most that are classified; 0 means all. */
    trainLimit: z.int().min(0).default(5000),
    testLimit: z.int().min(0).default(1000),
    neighbours: positiveInteger.default(200),
    temperature: z.number().positive().default(0.1),
    /** Whose top-1 accuracy says which measurement is better: the mean of all widths, or that of the full one. */
    criterion: z.enum(monitorCriteria).default('mean'),
    /**
     * Measurements in a row without improvement after which training ends early; 0: it does not. Those of the slow
     * start, before all widths train, do not count.
     */
    patience: z.int().min(0).default(0),
    /** What an accuracy, a share, must rise by to be an improvement: 0.001 is a tenth of a point. */
    minDelta: z.number().min(0).max(1).default(0),
  }),
]);

const cifarStatistics = { mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] };

/** Where the mean or the deviation is the default, and channels are not three, as many general ones. */
function withStatistics<
  Data extends { readonly channels: number; readonly mean: number[]; readonly std: number[] },
>(data: Data): Data {
  const of = (key: 'mean' | 'std', general: number) =>
    data[key] === cifarStatistics[key] && data.channels !== 3
      ? new Array<number>(data.channels).fill(general)
      : [...data[key]];
  return { ...data, mean: of('mean', 0.5), std: of('std', 0.25) };
}

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
      /** `cifar10`, `mnist`, `fashion-mnist`, the path of a folder, a list (`list.txt`), Parquet files, shards (`train-{000..146}.tar`) or a mix (`mix.json`) of images. */
      source: z.string().min(1).default('cifar10'),
      /** Use this many training images, chosen by the seed; 0 means all. */
      limit: z.int().min(0).default(0),
      /**
       * Images of the source that training never sees, by class where there are labels, chosen by the seed and their names: a
       * share (`5%`, `0.05`) or a number of them; 0 means none. Evaluations of a folder without test images classify them.
       */
      validation: validationSchema.prefault(0),
      /**
       * Labels of a folder's images, a file: CSV of path and label, or JSON (src/data/README.md). Empty: the folders are the
       * classes.
       */
      labels: z.string().default(''),
      /** Side of the square network input in pixels, in evaluation and in exported models. */
      imageSize: positiveInteger.default(32),
      /**
       * Side of the augmented views in pixels; 0 means imageSize. Random crops make objects look larger than
       * evaluation does, so views may be smaller (Touvron et al., Fixing the train-test resolution discrepancy,
       * 2019): 24 for 32 takes half the time.
       */
      viewSize: z.int().min(0).default(0),
      /**
       * Channels of images, views and exported models. 1: grey, RGB images become their luma. 3: RGB, grey images are
       * repeated. Others: bands, of images that have just as many (TIFF; 2 and 4 also grey and RGB with transparency).
       */
      channels: positiveInteger.default(3),
      /** Bits that are kept of a sample: of images of 16 bits, 8 keeps the upper ones. */
      depth: z.literal([8, 16]).default(8),
      /**
       * Of each channel, of values scaled to 0 .. 1: `slimclr data info SOURCE --statistics` measures them. The defaults
       * are CIFAR-10's; of other than three channels 0.5 and 0.25.
       */
      mean: z
        .array(z.number())
        .min(1)
        .default(() => cifarStatistics.mean),
      std: z
        .array(z.number().positive())
        .min(1)
        .default(() => cifarStatistics.std),
      /** Threads that decode and augment; under a CPU limit no more than it keeps busy. */
      workers: positiveInteger.default(1),
    })
    .transform(withStatistics)
    .prefault({}),
  /** What a run begins with instead of weights that are drawn from the seed (`pretrain --init`, `import`). */
  init: z
    .strictObject({
      /**
       * Weights of a run or of somebody else: what `slimclr import` reads. Empty: all are drawn. Checkpoints hold what has
       * become of them, so that a run that is resumed does not read it again.
       */
      file: z.string().default(''),
      /** SHA-256 of the file, hexadecimal; empty: any. A run has that of the file it read. */
      sha256: z
        .string()
        .refine((text) => /^([0-9a-f]{64})?$/.test(text), 'must be a SHA-256 in hexadecimal, or empty')
        .default(''),
    })
    .prefault({}),
  augmentation: augmentationSchema.prefault({}),
  method: methodSchema.prefault({ kind: 'moco-v2' }),
  techniques: techniquesSchema.prefault({}),
  optimizer: optimizerSchema.prefault({ kind: 'sgd' }),
  schedule: scheduleSchema.prefault({ kind: 'cosine' }),
  epochs: positiveInteger.default(200),
  continued: continuedSchema.prefault({}),
  /** Images of one micro-batch: what one run of a graph sees, batch norm too. */
  batchSize: positiveInteger.default(256),
  /** Micro-batches of a step; its gradients are those of a batch of batchSize times accumulation images. */
  accumulation: positiveInteger.default(1),
  checkpoint: z
    .strictObject({
      /** One is written every so many epochs, steps and minutes, 0: not by them; and at the end, whatever ends it. */
      everyEpochs: z.int().min(0).default(1),
      everySteps: z.int().min(0).default(0),
      everyMinutes: z.number().min(0).default(0),
      /** Checkpoints kept, newest first. */
      keep: positiveInteger.default(3),
      /** Keep the best by the monitor as well, which is written whenever a measurement is the best so far. */
      keepBest: z.boolean().default(true),
    })
    .prefault({}),
  monitor: monitorSchema.prefault({ kind: 'none' }),
  diagnostics: z
    .strictObject({
      /** Steps between two measurements of gradients and features (docs/method.md, diagnostics); 0 means none. */
      everySteps: z.int().min(0).default(0),
    })
    .prefault({}),
  /** Write TensorBoard event files into the run folder. */
  tensorboard: z.boolean().default(true),
  runtime: z
    .strictObject({
      /**
       * What the training graphs are made of. `portable`: standard ONNX operators. `cpu`: ONNX Runtime's blocked
       * kernels, several times as fast on x64 processors. `cuda`: standard operators that reach cuBLAS and cuDNN.
       * `webgpu`: standard operators that WebGPU has kernels for. `ort-training`: the gradient kernels of
       * onnxruntime-training, on the engine `python`. `auto`: `cpu` where the provider is `cpu`, in process, and the
       * precision `float32`; `webgpu` where the provider is; where that is `cuda`, `ort-training` if the engine's ONNX
       * Runtime is built for training, else `cuda`; else `portable`.
       */
      target: z.enum(['auto', 'portable', 'cpu', 'cuda', 'webgpu', 'ort-training']).default('auto'),
      /**
       * Where lowerings of the cpu and cuda targets compete: `auto` measures them at first use of a config on a machine, which
       * takes seconds; `off` takes the built-in choices.
       */
      tune: z.enum(['auto', 'off']).default('auto'),
      /**
       * What runs the graphs: `in-process`, the ONNX Runtime that comes with the package; `python`, that of a Python
       * interpreter, in a process of its own: any wheel of onnxruntime, with CUDA or with training operators.
       */
      engine: z.enum(['in-process', 'python']).default('in-process'),
      /** Name or path of the interpreter of the `python` engine. */
      python: z.string().min(1).default('python3'),
      /**
       * Path of another ONNX Runtime for the `in-process` engine, 1.18 or newer, such as the libonnxruntime of a wheel of
       * onnxruntime-gpu; empty: the one that comes with the package.
       */
      library: z.string().default(''),
      provider: z.enum(['cpu', 'webgpu', 'cuda']).default('cpu'),
      /** Of provider `cuda`. */
      cuda: z
        .strictObject({
          /** Which one, from 0; with replicas that of the first, which the others follow. */
          device: z.int().min(0).default(0),
          /** Bytes that arenas may take of the device's memory; 0: all. */
          memoryLimit: z.int().min(0).default(0),
          /** How cuDNN's algorithms are chosen: by rules, or by trying all at a shape's first run. */
          convolutionSearch: z.enum(['heuristic', 'exhaustive']).default('heuristic'),
          /** Whether float32 products are made of TensorFloat-32, with 10 bits of mantissa, where the device has it. */
          tf32: z.boolean().default(true),
          /** In process: whether runs of graphs that write nothing that they read are recorded and played again. */
          graphs: z.boolean().default(false),
        })
        .prefault({}),
      /**
       * Of activations and matrix products in training. `float16` is mixed precision (docs/method.md): twice as fast or
       * more on GPUs with tensor cores, slower on CPUs, which compute in float32 between casts. Weights, losses,
       * statistics, the optimiser and all of evaluation stay float32.
       */
      precision: z.enum(['float32', 'float16']).default('float32'),
      /** Of `float16`: what losses are multiplied by so that small gradients do not vanish. */
      lossScale: z
        .strictObject({
          initial: z
            .number()
            .min(1)
            .max(2 ** 126)
            .refine((scale) => Number.isInteger(Math.log2(scale)), 'must be a power of 2')
            .default(2 ** 16),
          /** Steps in a row without an overflow after which it doubles; an overflow halves it. */
          growthSteps: positiveInteger.default(2000),
        })
        .prefault({}),
      /** Threads of ONNX Runtime; 0 means one a core, or what a CPU limit of a container leaves. With replicas: of each, 0 an equal share of the cores. */
      threads: z.int().min(0).default(0),
      /**
       * Threads or, for `cuda`, devices that train at the same time: each runs an equal share of a step's micro-batches,
       * whose number (`accumulation`) they divide. They change the numbers by rounding only, and what batch norm of MoCo v2's
       * keys sees (`method.shuffleKeys`).
       */
      replicas: positiveInteger.default(1),
      /**
       * `auto`: processes that mpirun, mpiexec or srun has started are one replica each, over MPI (docs/scale.md); `off`:
       * each trains for itself.
       */
      mpi: z.enum(['auto', 'off']).default('auto'),
      /** Path of the library of MPI, which has to fit the launcher; empty: the launcher's own, or one of the system. */
      mpiLibrary: z.string().default(''),
      /**
       * Of ranks: seconds that a step waits for one of them before it is taken for lost and all end; 0: no limit. What rank 0
       * does alone, such as its monitor, does not count.
       */
      stepTimeout: z.number().min(0).default(600),
      /** How replicas send each other gradients: `bfloat16` halves what travels, and rounds (docs/scale.md). */
      wire: z.enum(['float32', 'bfloat16']).default('float32'),
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

/** What images are decoded to. */
export function pixelFormat({ data: { channels, depth } }: Pick<Config, 'data'>): {
  readonly channels: number;
  readonly depth: 8 | 16;
} {
  return { channels, depth };
}

/** The target that training graphs are lowered for. */
export function targetName(runtime: Config['runtime']): Exclude<Config['runtime']['target'], 'auto'> {
  const { engine, target, provider, precision } = runtime;
  if (target !== 'auto') return target;
  if (provider !== 'cpu') return provider;
  return engine === 'in-process' && precision === 'float32' ? 'cpu' : 'portable';
}
