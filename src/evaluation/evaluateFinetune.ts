import type { Config } from '../config/schema.js';
import { ViewLoader } from '../data/loader.js';
import { subset } from '../data/source.js';
import type { Engine } from '../engines/engine.js';
import { int64Vector } from '../engines/hostGraph.js';
import { UsageError } from '../errors.js';
import { learningRate } from '../optimizers/schedule.js';
import type { Weights } from '../programs/bindWeights.js';
import { initialWeights } from '../programs/initialWeights.js';
import { builtInTarget } from '../tuning/chooseTarget.js';
import { balancedSubset } from './balancedSubset.js';
import { subject, widthAccuracies, withEvaluation, type EvaluationOptions } from './evaluation.js';
import { extractFeatures } from './features.js';
import { FinetunedNetwork } from './finetune.js';
import { classifierAccuracies } from './linearClassifier.js';
import { labelled, type LabelledImages } from './labelledImages.js';
import { cropAndFlip } from './probeBatches.js';
import { writeResult } from './resultFiles.js';
import type { Accuracy, FinetuneResult } from './results.js';
import { progressOf, report, type EncoderSetup, type Watch } from './runFeatures.js';
import { chosenWidths, type TrainedRun } from './trainedRun.js';

export interface FinetuneSettings {
  readonly epochs: number;
  /** Highest of the cosine schedules of the encoder and of the classifier. */
  readonly encoderRate: number;
  readonly classifierRate: number;
  /** Images of one step; where there are fewer, all of them. */
  readonly batchSize: number;
  /** Of the choice of the labelled images and of their order and views. */
  readonly seed: number;
}

export const defaultFinetuneSettings: Omit<FinetuneSettings, 'seed'> = {
  epochs: 50,
  encoderRate: 0.02,
  classifierRate: 0.2,
  batchSize: 64,
};

/** `seed` is the run's unless given. */
export interface FinetuneOptions extends EvaluationOptions, Partial<FinetuneSettings> {
  /** Share of the training images whose labels are used, in (0, 1]; the same number of each class. */
  readonly labels: number;
  /** Widths to fine-tune, as the config has them; default all. */
  readonly widths?: readonly number[];
}

/**
 * Semi-supervised evaluation (docs/method.md, evaluation): the encoder and a new linear classifier trained on few
 * labels, each width on its own copy of the weights, into `results/finetune-<percent>.json` of the run's folder. SGD
 * with momentum 0.9, no weight decay, cosine schedules, random crops and flips, batch norm in training mode. With
 * `baseline` the same from the run's random weights. Throws what `evaluateKnn` does, and a UsageError for a width that
 * the run does not have and settings out of range.
 */
export async function evaluateFinetune(runFolder: string, options: FinetuneOptions): Promise<FinetuneResult> {
  const started = performance.now();
  const { labels, baseline = false } = options;
  return withEvaluation(runFolder, options, async ({ run, images, engine }) => {
    const { config, network } = run;
    const widths = chosenWidths(config.widths, options.widths);
    const seed = options.seed ?? config.seed;
    const chosen = balancedSubset(images.train.labels, images.classes.length, labels, seed);
    const few: LabelledImages = { ...images, train: labelled(subset(images.train, chosen)) };
    const settings: FinetuneSettings = {
      epochs: options.epochs ?? defaultFinetuneSettings.epochs,
      encoderRate: options.encoderRate ?? defaultFinetuneSettings.encoderRate,
      classifierRate: options.classifierRate ?? defaultFinetuneSettings.classifierRate,
      batchSize: Math.min(options.batchSize ?? defaultFinetuneSettings.batchSize, chosen.length),
      seed,
    };
    checkSettings(settings);
    const finetuned = (encoder: EncoderSetup['kind'], weights: Weights) =>
      finetune({ ...run, weights }, encoder, widths, few, settings, options, engine);
    const trained = await finetuned('trained', run.weights);
    const random = baseline
      ? await finetuned('random', initialWeights(network.declarations, config.seed))
      : null;
    const result: FinetuneResult = {
      kind: 'finetune',
      labels,
      ...settings,
      ...subject({ run, images: few }),
      seconds: (performance.now() - started) / 1000,
      widths: widthAccuracies(widths, trained, random),
    };
    await writeResult(runFolder, result, options);
    return result;
  });
}

function checkSettings({ epochs, batchSize, encoderRate, classifierRate }: FinetuneSettings): void {
  for (const [name, value] of Object.entries({ epochs, batchSize })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new UsageError(`fine-tuning: ${name} is ${value}; accepted: an integer >= 1`);
    }
  }
  for (const [name, value] of Object.entries({ encoderRate, classifierRate })) {
    if (!(value >= 0 && value < Infinity)) {
      throw new UsageError(`fine-tuning: ${name} is ${value}; accepted: a number >= 0`);
    }
  }
}

/** Accuracies on the test images after fine-tuning on the training images, by width. */
async function finetune(
  { config, network, weights }: TrainedRun,
  encoder: EncoderSetup['kind'],
  widths: readonly number[],
  { train, test, classes }: LabelledImages,
  { epochs, batchSize, encoderRate, classifierRate, seed }: FinetuneSettings,
  watch: Watch,
  engine: Engine,
): Promise<Accuracy[]> {
  const { imageSize, mean, std, workers } = config.data;
  const target = await builtInTarget(config.runtime);
  const own: Config = { ...config, batchSize };
  const networks: FinetunedNetwork[] = [];
  const views = { seed, batchSize, imageSize, mean, std, augmentations: cropAndFlip, workers };
  const loader = new ViewLoader(train, views);
  try {
    for (const width of widths) {
      const part = { network, config: own, width, weights, classes: classes.length };
      networks.push(await FinetunedNetwork.open(part, target, engine));
    }
    const { stepsPerEpoch } = loader;
    const steps = epochs * stepsPerEpoch;
    const rate = (peak: number, step: number) =>
      learningRate(
        { kind: 'cosine', peak, warmup: 0, warmupFrom: 0 },
        { kind: 'none' },
        { step, steps, stepsPerEpoch },
      );
    for (let step = 0; step < steps; step++) {
      const batch = await loader.batch(Math.floor(step / stepsPerEpoch), step % stepsPerEpoch);
      const labels = int64Vector(batch.labels!);
      const rates = { encoder: rate(encoderRate, step), classifier: rate(classifierRate, step) };
      for (const finetuned of networks) await finetuned.step(batch.views[0], labels, rates);
      loader.recycle(batch);
      report(watch, `fine-tuning, ${encoder} encoder, step ${step + 1} of ${steps}`);
    }
    const encoders = await Promise.all(networks.map((finetuned) => finetuned.encoder()));
    try {
      const onBatch = progressOf(watch, `features of test images, ${encoder} encoder`, test.length);
      const features = await extractFeatures(test, config, encoders, onBatch);
      const classifiers = await Promise.all(networks.map((finetuned) => finetuned.classifier()));
      return await classifierAccuracies(classifiers, features, test.labels, engine);
    } finally {
      await Promise.all(encoders.map((encoder) => encoder.close()));
    }
  } finally {
    await Promise.all([loader.close(), ...networks.map((finetuned) => finetuned.close())]);
  }
}
