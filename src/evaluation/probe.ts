import { Tensor } from 'onnxruntime-node';
import { SlimclrError, UsageError } from '../errors.js';
import { learningRate } from '../optimizers/schedule.js';
import { sgd } from '../optimizers/sgd.js';
import { Random } from '../random.js';
import type { RuntimeOptions } from '../runtime/session.js';
import type { Features } from './features.js';
import type { LinearClassifier } from './linearClassifier.js';
import { openGraph } from './openGraph.js';
import { WidthProbe } from './widthProbe.js';

export interface ProbeSettings {
  readonly epochs: number;
  /** Peak of the cosine schedule. */
  readonly learningRate: number;
  /** Images of one step; where there are fewer, all of them. */
  readonly batchSize: number;
  /** Of the order of the images. */
  readonly seed: number;
}

export const defaultProbeSettings: Omit<ProbeSettings, 'seed'> = {
  epochs: 100,
  learningRate: 10,
  batchSize: 256,
};

/** Frozen features of one width, [n, C_w]. */
export interface WidthFeatures extends Features {
  readonly width: number;
}

/** First word of the random streams that shuffle. */
const orderStream = 0x70726f62;
const momentum = 0.9;
/** Multiply-adds of a step's product below which waking a second thread costs more than it saves. */
const oneThreadBelow = 2 ** 24;

/**
 * Trains the switchable linear probe (docs/method.md): one classifier for each width, descending; the first, the
 * full width's, also teaches the others. SGD with momentum 0.9, no weight decay, cosine schedule, weights that
 * start as 0. Features are standardised (standardize.ts), so that one learning rate suits every encoder and
 * width; the classifiers have this folded in and take raw features. Images that fill no batch are left out of
 * an epoch.
 */
export async function trainProbe(
  widths: readonly WidthFeatures[],
  labels: Int32Array,
  classes: number,
  settings: ProbeSettings,
  runtime: RuntimeOptions,
  onEpoch?: (done: number) => void,
): Promise<LinearClassifier[]> {
  checkSettings(settings);
  const { epochs, seed } = settings;
  const batchSize = Math.min(settings.batchSize, labels.length);
  const stepsPerEpoch = Math.floor(labels.length / batchSize);
  const schedule = { peak: settings.learningRate, warmup: 0, warmupFrom: 0 };
  const batchLabels = new BigInt64Array(batchSize);
  const labelTensor = new Tensor('int64', batchLabels, [batchSize]);
  const products = batchSize * classes * widths[0]!.channels;
  const options = products < oneThreadBelow ? { ...runtime, threads: 1 } : runtime;
  const optimizer = await openGraph(sgd(momentum), options);
  const probes = await Promise.all(
    widths.map((features, i) => {
      const { width, channels } = features;
      return WidthProbe.open({ width, channels, classes, batchSize, distilled: i > 0 }, features, options);
    }),
  );
  try {
    for (let epoch = 0; epoch < epochs; epoch++) {
      const order = new Random(orderStream, seed, epoch).permutation(labels.length);
      for (let step = 0; step < stepsPerEpoch; step++) {
        const indices = order.subarray(step * batchSize, (step + 1) * batchSize);
        for (const [i, index] of indices.entries()) batchLabels[i] = BigInt(labels[index]!);
        const rate = learningRate(schedule, epoch * stepsPerEpoch + step, epochs * stepsPerEpoch);
        for (const [i, probe] of probes.entries()) {
          const teacher = i === 0 ? null : probes[0]!.logits;
          await probe.step(indices, labelTensor, teacher, optimizer, rate);
        }
      }
      onEpoch?.(epoch + 1);
    }
    const classifiers = probes.map((probe) => probe.classifier());
    if (!classifiers.every(isFinite)) {
      throw new SlimclrError(
        `the linear probe diverged at learning rate ${settings.learningRate}; a smaller one is needed`,
      );
    }
    return classifiers;
  } finally {
    await Promise.all([optimizer.release(), ...probes.map((probe) => probe.close())]);
  }
}

function checkSettings({ epochs, learningRate, batchSize }: ProbeSettings): void {
  for (const [name, value] of Object.entries({ epochs, batchSize })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new UsageError(`probe: ${name} is ${value}; accepted: an integer >= 1`);
    }
  }
  if (!(learningRate > 0 && learningRate < Infinity)) {
    throw new UsageError(`probe: learning rate is ${learningRate}; accepted: a number > 0`);
  }
}

function isFinite({ weight, bias }: LinearClassifier): boolean {
  return weight.every(Number.isFinite) && bias.every(Number.isFinite);
}
