import { counted } from '../counted.js';
import type { AugmentationConfig } from './augmentation.js';
import { modelPaths, traitsOf } from './methods.js';
import { slimStartEpoch } from './techniques.js';
import { configSchema, viewSize, type Config } from './schema.js';

/**
 * Contradictions between keys, one sentence each: what the schema, which sees one key at a time, cannot
 * tell. `config` has passed the schema.
 */
export function checkConfig(config: Config): string[] {
  return [
    ...initProblems(config),
    ...channelProblems(config),
    ...batchProblems(config),
    ...techniqueProblems(config),
    ...scheduleProblems(config),
    ...runtimeProblems(config),
    ...precisionProblems(config),
    ...encoderProblems(config),
    ...batchNormProblems(config),
  ];
}

function initProblems({ init }: Config): string[] {
  if (init.file !== '' || init.sha256 === '') return [];
  return ['init.sha256 is of no use without init.file; accepted: both, or init.file alone'];
}

/** What needs other channels than there are. */
function channelProblems({ augmentation, data }: Config): string[] {
  const { channels } = data;
  const problems: string[] = [];
  for (const key of ['mean', 'std'] as const) {
    if (data[key].length === channels) continue;
    problems.push(
      `data.${key} has ${counted(data[key].length, 'number')} for data.channels ${channels}; accepted: ${channels}, as ` +
        'slimclr data info --statistics prints them',
    );
  }
  if (channels === 3) return problems;
  const { grayscale, jitter, solarize } = augmentation;
  const refuse = (strengths: Readonly<Record<string, AugmentationConfig['solarize']>>, of: string) => {
    const used = Object.keys(strengths).filter((key) => [strengths[key]].flat().some((value) => value !== 0));
    if (used.length === 0) return;
    const assignments = used.map((key) => `--set augmentation.${key}=0`);
    problems.push(
      `augmentation.${used.join(', augmentation.')} ${used.length === 1 ? 'is' : 'are'} of ${of}, and data.channels is ` +
        `${channels}; accepted: 0 (${assignments.join(' ')})`,
    );
  };
  const jitters = jitter.probability > 0;
  refuse(
    {
      ...(jitters && { 'jitter.saturation': jitter.saturation, 'jitter.hue': jitter.hue }),
      grayscale,
    },
    'RGB',
  );
  if (channels !== 1) refuse({ solarize }, 'grey or RGB');
  return problems;
}

function batchProblems({ accumulation, batchSize, data, method }: Config): string[] {
  const problems: string[] = [];
  const total = batchSize * accumulation;
  const batch = accumulation === 1 ? `batchSize ${batchSize}` : `batchSize times accumulation, ${total}`;
  // Keys replace the oldest queue entries step by step (docs/method.md, step 6).
  if ('queueSize' in method && method.queueSize % total !== 0) {
    problems.push(
      `method.queueSize ${method.queueSize} is not a multiple of ${batch}; accepted: multiples of ${total}`,
    );
  }
  if (data.limit > 0 && data.limit < total) {
    problems.push(
      `data.limit ${data.limit} does not fill one batch of ${batch}; accepted: 0 (all images) or at least ${total}`,
    );
  }
  if ('shuffleKeys' in method && method.shuffleKeys === 'on' && accumulation === 1) {
    problems.push(
      'method.shuffleKeys "on" is of no use to accumulation 1, whose images are one batch in any order; ' +
        'accepted: "auto", "off", or accumulation of at least 2',
    );
  }
  // Otherwise there is no other image to tell the positive from.
  if (traitsOf(method).contrastsStep && total < 2) {
    problems.push(`batchSize 1 leaves ${method.kind} without negatives; accepted: at least 2`);
  }
  for (const [key, path] of modelPaths(method)) {
    if (path === '') problems.push(`method.${key} is empty; accepted: the path of an ONNX file`);
  }
  return problems;
}

/** The epochs after which another is left. */
function earlier(epochs: number): string {
  return epochs > 1 ? `1 to ${epochs - 1}` : 'none of them, or epochs of at least 2';
}

function techniqueProblems({ epochs, method, techniques, widths }: Config): string[] {
  const problems: string[] = [];
  const { distillation, slowStart, weights } = techniques;
  const start = slimStartEpoch(slowStart);
  if (widths.length > 1 && start >= epochs) {
    problems.push(
      `techniques.slowStart.epochs ${start} is not below epochs ${epochs}, so the sub-networks would never train; ` +
        `accepted: ${earlier(epochs)}`,
    );
  }
  if (distillation.kind !== 'none' && distillation.teachers === 'larger' && widths.length === 1) {
    problems.push(
      'techniques.distillation.teachers "larger" needs a sub-network to teach, and widths holds 1 alone; ' +
        'accepted: "full", or more widths',
    );
  }
  if (
    !traitsOf(method).embeds &&
    (distillation.kind === 'kd-features' || distillation.kind === 'mse-features')
  ) {
    problems.push(
      `techniques.distillation.kind "${distillation.kind}" needs embeddings of one length, and ` +
        `${method.kind} training has class scores only; accepted: "none", "kd-logits", "mse-logits", "dkd", "atkd"`,
    );
  }
  const narrow = widths.slice(1).reduce((sum, width) => sum + width, 0);
  if (weights === 'non-overlapping' && narrow > 1) {
    problems.push(
      `techniques.weights "non-overlapping" gives each sub-network channels of its own, and the widths below 1 add ` +
        `up to ${narrow}; accepted: at most 1`,
    );
  }
  return problems;
}

function scheduleProblems({ epochs, schedule, techniques: { slowStart } }: Config): string[] {
  const problems: string[] = [];
  if (schedule.warmupFrom > schedule.peak) {
    problems.push(
      `schedule.warmupFrom ${schedule.warmupFrom} is above schedule.peak ${schedule.peak}; accepted: 0 to ${schedule.peak}`,
    );
  }
  // The warm-up goes on towards this peak only where it is longer than the slow start.
  if (
    slowStart.kind !== 'none' &&
    slowStart.peak > 0 &&
    schedule.warmupFrom > slowStart.peak &&
    schedule.warmup * epochs > slowStart.epochs
  ) {
    problems.push(
      `schedule.warmupFrom ${schedule.warmupFrom} is above techniques.slowStart.peak ${slowStart.peak}; accepted: 0 to ${slowStart.peak}`,
    );
  }
  const late = schedule.kind === 'step' ? schedule.epochs.filter((epoch) => epoch >= epochs) : [];
  if (late.length > 0) {
    problems.push(
      `schedule.epochs holds ${late.join(', ')}, not below epochs ${epochs}; accepted: ${earlier(epochs)}`,
    );
  }
  if (schedule.kind === 'constant' && schedule.coolDown > epochs) {
    problems.push(
      `schedule.coolDown ${schedule.coolDown} is above epochs ${epochs}; accepted: 0 to ${epochs}`,
    );
  }
  return problems;
}

/** The providers that execute what a target's graphs are made of. */
const providersOf: {
  readonly [T in Config['runtime']['target']]: readonly Config['runtime']['provider'][];
} = {
  auto: ['cpu', 'webgpu', 'cuda'],
  portable: ['cpu', 'webgpu', 'cuda'],
  cpu: ['cpu'],
  // On the CPU to try what a GPU is to run.
  cuda: ['cuda', 'cpu'],
  webgpu: ['webgpu', 'cpu'],
  'ort-training': ['cuda', 'cpu'],
};

function runtimeProblems({ accumulation, runtime }: Config): string[] {
  const { target, provider, replicas } = runtime;
  const problems: string[] = engineProblems(runtime);
  if (!providersOf[target].includes(provider)) {
    const accepted = Object.entries(providersOf).filter(
      ([name, providers]) =>
        providers.includes(provider) && (name !== 'ort-training' || runtime.engine === 'python'),
    );
    problems.push(
      `runtime.target "${target}" does not run on runtime.provider "${provider}"; ` +
        `accepted: ${accepted.map(([name]) => `"${name}"`).join(', ')}`,
    );
  }
  if (accumulation % replicas !== 0) {
    problems.push(
      `runtime.replicas ${replicas} cannot share accumulation ${accumulation} equally; ` +
        `accepted: divisors of ${accumulation}`,
    );
  }
  if (replicas > 1 && provider === 'webgpu') {
    problems.push(
      `runtime.replicas ${replicas} on runtime.provider "webgpu", which has one device; accepted: 1`,
    );
  }
  return problems;
}

function engineProblems({ engine, python, library, target, provider, cuda }: Config['runtime']): string[] {
  const problems: string[] = [];
  if (engine === 'python' && library !== '') {
    problems.push(
      `runtime.library "${library}" is of no use to runtime.engine "python"; accepted: runtime.engine "in-process"`,
    );
  }
  if (engine === 'python' && cuda.graphs) {
    problems.push(
      'runtime.cuda.graphs true does not go with runtime.engine "python"; accepted: runtime.engine "in-process"',
    );
  }
  const defaults = configSchema.shape.runtime.unwrap().shape.cuda.parse(undefined);
  for (const [key, value] of Object.entries(cuda)) {
    if (provider === 'cuda' || value === defaults[key as keyof typeof defaults]) continue;
    problems.push(
      `runtime.cuda.${key} ${JSON.stringify(value)} is of no use to runtime.provider "${provider}"; ` +
        'accepted: runtime.provider "cuda"',
    );
  }
  if (engine === 'in-process' && python !== 'python3') {
    problems.push(
      `runtime.python "${python}" is of no use to runtime.engine "in-process"; accepted: runtime.engine "python"`,
    );
  }
  if (engine === 'python' && provider === 'webgpu') {
    problems.push(
      'runtime.provider "webgpu" does not go with runtime.engine "python"; accepted: "cpu", "cuda"',
    );
  }
  if (engine === 'in-process' && target === 'ort-training') {
    problems.push(
      'runtime.target "ort-training" needs the operators of onnxruntime-training, which runtime.engine "in-process" has ' +
        'not; accepted: runtime.engine "python"',
    );
  }
  // Its kernels, and what is measured of them, are those of one version of ONNX Runtime.
  if (engine === 'python' && target === 'cpu') {
    const accepted = Object.keys(providersOf).filter((name) => name !== target);
    problems.push(
      `runtime.target "cpu" does not go with runtime.engine "python"; accepted: ${accepted.map((name) => `"${name}"`).join(', ')}`,
    );
  }
  return problems;
}

function encoderProblems({ encoder, widths }: Config): string[] {
  const problems: string[] = [];
  const narrowStem = isNarrow(encoder);
  if (narrowStem && encoder.stem !== 'cifar') {
    problems.push(
      `encoder.stem "${encoder.stem}" does not exist for encoder.name "${encoder.name}"; accepted: "cifar"`,
    );
  }
  const stemChannels = narrowStem ? 16 : 64;
  for (const width of widths) {
    if (Math.floor(stemChannels * width) === 0) {
      problems.push(
        `widths holds ${width}, which leaves no channel of the ${stemChannels} in the first layer of ${encoder.name}; accepted: at least ${1 / stemChannels}`,
      );
    }
  }
  return problems;
}

/** ResNet-20 to 56: three stages from 16 channels; the others have four from 64. */
function isNarrow({ name }: Config['encoder']): boolean {
  return ['resnet20', 'resnet32', 'resnet44', 'resnet56'].includes(name);
}

/**
 * Batch norm over one value per channel: its variance is 0, and unbiased 0 / 0. PyTorch refuses it in training mode, too.
 */
function batchNormProblems(config: Config): string[] {
  const { batchSize, data, encoder, method } = config;
  const { viewsOfBatch, normalizesHeads } = traitsOf(method);
  const images = viewsOfBatch * batchSize;
  if (images > 1) return [];
  const view = viewSize(config);
  const stages = (isNarrow(encoder) ? [1, 2, 3] : [1, 2, 3, 4]).map((stage) => `encoder.layer${stage}`);
  // Each halves the side, rounded up.
  const halvings = encoder.stem === 'imagenet' ? ['encoder.bn1', ...stages] : stages.slice(1);
  const small = view === 1 ? 'encoder.bn1' : halvings[Math.ceil(Math.log2(view)) - 1];
  const key = data.viewSize === 0 ? 'data.imageSize' : 'data.viewSize';
  const problems: string[] = [];
  if (small !== undefined) {
    problems.push(
      `batchSize ${batchSize} leaves batch norm one value per channel in ${small}, whose map is 1x1 at ${key} ${view}; ` +
        `accepted: batchSize of at least 2, or ${key} of at least ${2 ** halvings.length + 1}`,
    );
  }
  if (normalizesHeads) {
    problems.push(
      `batchSize ${batchSize} leaves batch norm one value per channel in the heads of ${method.kind}; accepted: at least 2`,
    );
  }
  return problems;
}

/** What float16 graphs are made for: the other targets and providers know float32 alone. */
const float16: {
  readonly targets: readonly Config['runtime']['target'][];
  readonly providers: readonly Config['runtime']['provider'][];
} = { targets: ['auto', 'portable', 'cuda', 'ort-training'], providers: ['cpu', 'cuda'] };

function precisionProblems({ runtime }: Config): string[] {
  const { engine, target, provider, precision } = runtime;
  const problems: string[] = [];
  if (precision === 'float32') return problems;
  const refuse = (key: string, value: string, accepted: readonly string[]) =>
    problems.push(
      `runtime.precision "${precision}" does not go with runtime.${key} "${value}"; ` +
        `accepted: "float32", or runtime.${key} ${accepted.map((name) => `"${name}"`).join(', ')}`,
    );
  const targets = float16.targets.filter((name) => name !== 'ort-training' || engine === 'python');
  if (!float16.targets.includes(target)) refuse('target', target, targets);
  if (!float16.providers.includes(provider)) refuse('provider', provider, float16.providers);
  return problems;
}
