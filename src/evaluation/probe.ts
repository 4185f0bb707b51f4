import type { ScheduleConfig } from '../config/optimization.js';
import type { EngineSource } from '../engines/openEngine.js';
import { SlimclrError, UsageError } from '../errors.js';
import { learningRate } from '../optimizers/schedule.js';
import type { Features } from './features.js';
import type { LinearClassifier } from './linearClassifier.js';
import { CachedBatches, type ProbeBatches } from './probeBatches.js';
import { SharedLayer, SwitchableLayers, type ProbeLayers } from './probeLayers.js';
import { standardization, standardize, withoutStandardization } from './standardize.js';

export interface ProbeSettings {
  readonly epochs: number;
  /** Its highest value. */
  readonly learningRate: number;
  /** Images of one step; where there are fewer, all of them. */
  readonly batchSize: number;
  /** Of the order of the images. */
  readonly seed: number;
}

/** Frozen features of one width, [n, C_w]. */
export interface WidthFeatures extends Features {
  readonly width: number;
  /** The first of its channels among those of the full width; default 0. A shared layer has its columns there. */
  readonly start?: number;
}

/** What a probe is trained on: features of the same images at all widths, descending. */
export interface LabelledWidths {
  readonly widths: readonly WidthFeatures[];
  /** [n] */
  readonly labels: Int32Array;
  readonly classes: number;
}

/** Multiply-adds of a step's product below which waking a second thread costs more than it saves. */
const oneThreadBelow = 2 ** 24;

/**
 * Trains a linear probe on cached features (docs/method.md, evaluation): `switchable`, a classifier for each width,
 * or `shared`, one slimmable layer. The full width, the first, also teaches the others. SGD with momentum 0.9, no
 * weight decay, cosine schedule, weights that start as 0. Features are standardised by width (standardize.ts), so
 * that one learning rate suits every encoder and width; the classifiers have this folded in and take raw features.
 */
export async function trainProbe(
  layer: 'switchable' | 'shared',
  { widths, labels, classes }: LabelledWidths,
  settings: ProbeSettings,
  on: EngineSource,
  onEpoch?: (done: number) => void,
): Promise<LinearClassifier[]> {
  checkProbeSettings(settings);
  const { epochs, seed } = settings;
  const batchSize = Math.min(settings.batchSize, labels.length);
  const maps = widths.map(standardization);
  const standard = widths.map((features, i) => standardize(features, maps[i]!));
  const batches = new CachedBatches(standard, labels, batchSize, seed);
  const schedule = { kind: 'cosine', peak: settings.learningRate, warmup: 0, warmupFrom: 0 } as const;
  const products = batchSize * classes * widths[0]!.channels;
  const options = products < oneThreadBelow ? { threads: 1 } : {};
  const kind = layer === 'shared' ? SharedLayer : SwitchableLayers;
  const layers = await kind.open({ widths, classes, batchSize }, on, options);
  const classifiers = await trainLayers(layers, batches, epochs, schedule, onEpoch);
  return requireFinite(
    classifiers.map((classifier, i) => withoutStandardization(classifier, maps[i]!)),
    settings,
  );
}

/** Trains layers for some epochs and closes them. */
export async function trainLayers(
  layers: ProbeLayers,
  batches: ProbeBatches,
  epochs: number,
  schedule: ScheduleConfig,
  onEpoch?: (done: number) => void,
): Promise<LinearClassifier[]> {
  const { stepsPerEpoch } = batches;
  const steps = epochs * stepsPerEpoch;
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      for (let step = 0; step < stepsPerEpoch; step++) {
        const { features, labels } = await batches.batch(epoch, step);
        const position = { step: epoch * stepsPerEpoch + step, steps, stepsPerEpoch };
        await layers.step(features, labels, learningRate(schedule, { kind: 'none' }, position));
      }
      onEpoch?.(epoch + 1);
    }
    return await layers.classifiers();
  } finally {
    await layers.close();
  }
}

/** Throws a UsageError for settings out of range. */
export function checkProbeSettings({ epochs, learningRate, batchSize }: ProbeSettings): void {
  for (const [name, value] of Object.entries({ epochs, batchSize })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new UsageError(`probe: ${name} is ${value}; accepted: an integer >= 1`);
    }
  }
  if (!(learningRate > 0 && learningRate < Infinity)) {
    throw new UsageError(`probe: learning rate is ${learningRate}; accepted: a number > 0`);
  }
}

/** The classifiers; throws a SlimclrError when a weight is not finite. */
export function requireFinite(
  classifiers: LinearClassifier[],
  { learningRate }: ProbeSettings,
): LinearClassifier[] {
  const finite = classifiers.every(
    ({ weight, bias }) => weight.every(Number.isFinite) && bias.every(Number.isFinite),
  );
  if (finite) return classifiers;
  throw new SlimclrError(
    `the linear probe diverged at learning rate ${learningRate}; a smaller one is needed`,
  );
}
