import type { MethodName } from '../../src/config/methods.js';
import { loadConfig, withAssignments } from '../../src/config/load.js';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import type { Moment } from './trainingStep.js';

/** One step of a config that is compared. */
export interface Case {
  readonly title: string;
  readonly config: Config;
  readonly slowStart: boolean;
}

/** Small enough to be quick; `batchSize` is that of a comparison of its own, without `--all`. */
export const encoders = {
  resnet20: { encoder: { name: 'resnet20', stem: 'cifar' }, data: { imageSize: 32 }, batchSize: 32 },
  resnet18: { encoder: { name: 'resnet18', stem: 'cifar' }, data: { imageSize: 32 }, batchSize: 16 },
  resnet50: { encoder: { name: 'resnet50', stem: 'imagenet' }, data: { imageSize: 64 }, batchSize: 16 },
} as const satisfies Record<string, ConfigInput>;
export type ReferenceEncoder = keyof typeof encoders;

/**
 * Queues are short and heads narrow, which changes nothing but time. Momentum and decay are such that a wrong one moves
 * values by far more than the tolerance.
 */
const methods: { readonly [K in MethodName]: ConfigInput['method'] } = {
  'moco-v2': { kind: 'moco-v2', queueSize: 512, keyMomentum: 0.9 },
  'moco-v3': { kind: 'moco-v3', keyMomentum: 0.9, temperature: 0.8, hiddenDimension: 256, dimension: 64 },
  simclr: { kind: 'simclr', hiddenDimension: 256, dimension: 64 },
  supervised: { kind: 'supervised', classes: 10 },
  // The comparison puts a teacher of its own in its place.
  seed: { kind: 'seed', queueSize: 512, teacher: 'teacher.onnx' },
};
export const methodNames = Object.keys(methods) as MethodName[];
const shared = { epochs: 10, optimizer: { kind: 'sgd', weightDecay: 0.01 } } as const satisfies ConfigInput;

/** One step of a method on an encoder; `set` are assignments, as of `slimclr --set`, that win over what is usual here. */
export function caseOf(
  encoder: ReferenceEncoder,
  method: MethodName,
  set: readonly string[] = [],
  { title = '', slowStart = false } = {},
): Case {
  const assigned = [shared, encoders[encoder], { method: methods[method] }].flatMap(assignments);
  const lastOfEachKey = new Map(set.map((text) => [text.slice(0, text.indexOf('=')), text]));
  const config = withAssignments(loadConfig({ set: assigned }), [...lastOfEachKey.values()]);
  return { title, config, slowStart };
}

function assignments(config: ConfigInput): string[] {
  return Object.entries(config).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
}

/** Every method, and what `--all` varies of each; `set` are assignments that what is varied wins over. */
export function allCases(encoder: ReferenceEncoder, set: readonly string[] = []): Case[] {
  const small = [...(encoder === 'resnet20' ? ['batchSize=16'] : []), ...set];
  const vary = (
    method: MethodName,
    what: string,
    keys: readonly ConfigInput[],
    set: readonly string[] = [],
  ) =>
    caseOf(encoder, method, [...small, ...keys.flatMap(assignments), ...set], {
      title: what === '' ? method : `${method}, ${what}`,
      slowStart: what.startsWith('slow start'),
    });
  if (encoder === 'resnet50') return (['moco-v2', 'moco-v3', 'simclr'] as const).map((m) => vary(m, '', []));

  const distillation = (method: MethodName, kind: DistillationKind, teachers: 'full' | 'larger') => {
    // At 1 the divergences of these networks are near 0, differences of entropies that float32 does not resolve.
    const sharp = kind === 'dkd' ? ['techniques.distillation.temperature=0.1'] : [];
    const set = [{ techniques: { distillation: { kind, teachers } } }];
    return vary(method, `${kind} from ${teachers}`, set, sharp);
  };
  const reweighting = (kind: ReweightingKind) =>
    vary('moco-v2', `re-weighting ${kind}`, [{ techniques: { reweighting: { kind } } }]);
  const switchable = { techniques: { head: 'switchable' } } as const;
  const twice = { batchSize: 8, accumulation: 2 };
  const features = { techniques: { distillation: { kind: 'kd-features', teachers: 'larger' } } } as const;
  const apart: ConfigInput = { widths: [1, 0.5, 0.25], techniques: { weights: 'non-overlapping' } };
  return [
    ...methodNames.map((method) => vary(method, '', [])),
    ...distillationKinds.flatMap((kind) => [
      distillation('moco-v2', kind, 'full'),
      distillation('moco-v2', kind, 'larger'),
    ]),
    distillation('moco-v3', 'dkd', 'larger'),
    distillation('moco-v3', 'mse-features', 'full'),
    distillation('simclr', 'kd-features', 'larger'),
    distillation('simclr', 'atkd', 'full'),
    distillation('supervised', 'dkd', 'larger'),
    distillation('seed', 'mse-logits', 'full'),
    vary('moco-v2', 'no distillation', [{ techniques: { distillation: { kind: 'none' } } }]),
    ...reweightingKinds.map(reweighting),
    ...methodNames.map((method) => vary(method, 'switchable head', [switchable])),
    vary('moco-v2', 'SGD, Nesterov', [{ optimizer: { kind: 'sgd', nesterov: true } }]),
    vary('moco-v2', 'SGD, clipped', [{ optimizer: { kind: 'sgd', clipNorm: 0.1 } }]),
    vary('moco-v2', 'LARS', [{ optimizer: { kind: 'lars', weightDecay: 0.01 } }]),
    vary('moco-v3', 'LARS, clipped', [{ optimizer: { kind: 'lars', weightDecay: 0.01, clipNorm: 0.1 } }]),
    vary('moco-v2', 'AdamW', [{ optimizer: { kind: 'adamw', weightDecay: 0.01 } }]),
    ...methodNames.map((method) => vary(method, 'two micro-batches', [twice])),
    vary('simclr', 'two micro-batches, kd-features', [twice, features]),
    vary('moco-v3', 'two micro-batches, kd-features', [twice, features]),
    vary('moco-v2', 'slow start', []),
    vary('moco-v2', 'slow start, AdamW', [{ optimizer: { kind: 'adamw' } }]),
    vary('simclr', 'width 1 alone', [{ widths: [1] }]),
    ...methodNames.map((method) => vary(method, 'non-overlapping weights', [apart])),
  ];
}

type Techniques = Config['techniques'];
type DistillationKind = Exclude<Techniques['distillation']['kind'], 'none'>;
type ReweightingKind = Techniques['reweighting']['kind'];

const distillationKinds = Object.keys({
  'kd-logits': 1,
  'kd-features': 1,
  'mse-features': 1,
  'mse-logits': 1,
  dkd: 1,
  atkd: 1,
} satisfies Record<DistillationKind, 1>) as DistillationKind[];
const reweightingKinds = Object.keys({
  none: 1,
  'sum-of-others': 1,
  'second-largest': 1,
  width: 1,
  'width-share': 1,
  'mean-one': 1,
  cumulative: 1,
} satisfies Record<ReweightingKind, 1>) as ReweightingKind[];

/** Rates that move parameters by a visible part of themselves. LARS multiplies its by a trust of 0.001. */
const learningRates = { sgd: 0.1, lars: 10, adamw: 0.01 } as const;

/** In the middle of a training, so that whatever depends on the step shows. */
export function momentOf({ config, slowStart }: Case): Moment {
  return {
    learningRate: learningRates[config.optimizer.kind],
    steps: { all: 3, narrow: 2, total: 10 },
    slowStart,
  };
}
