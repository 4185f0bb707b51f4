import { widthLabel } from '../programs/manifest.js';
import { AccuracyCounter } from './accuracy.js';
import { writeClassifiers } from './classifiers.js';
import {
  openEvaluation,
  subject,
  widthAccuracies,
  type Evaluation,
  type EvaluationOptions,
} from './evaluation.js';
import { classify, type LinearClassifier } from './linearClassifier.js';
import { defaultProbeSettings, trainProbe, type ProbeSettings } from './probe.js';
import { writeResult } from './resultFiles.js';
import type { Accuracy, ProbeResult } from './results.js';
import { randomFeatures, trainedFeatures, type SplitFeatures } from './runFeatures.js';

/** `seed` is the run's unless given. */
export type ProbeOptions = EvaluationOptions & Partial<ProbeSettings>;

interface Probed {
  readonly classifiers: readonly LinearClassifier[];
  readonly accuracies: readonly Accuracy[];
}

/**
 * Accuracy of the switchable linear probe on a run's frozen encoder, into `results/probe.json` of its folder;
 * the trained encoder's classifiers go into `results/probe.safetensors`. Errors are those of `evaluateKnn`.
 */
export async function evaluateProbe(runFolder: string, options: ProbeOptions = {}): Promise<ProbeResult> {
  const started = performance.now();
  const { baseline = false, onProgress } = options;
  const evaluation = await openEvaluation(runFolder, options);
  const { run, images } = evaluation;
  const { widths, seed } = run.config;
  const settings: ProbeSettings = {
    epochs: options.epochs ?? defaultProbeSettings.epochs,
    learningRate: options.learningRate ?? defaultProbeSettings.learningRate,
    batchSize: options.batchSize ?? defaultProbeSettings.batchSize,
    seed: options.seed ?? seed,
  };
  const probed = (features: readonly SplitFeatures[], encoder: string) =>
    probeFeatures(features, evaluation, settings, (epoch) =>
      onProgress?.(`linear probe, ${encoder} encoder: epoch ${epoch} of ${settings.epochs}`),
    );
  const trained = await probed(await trainedFeatures(run, images, onProgress), 'trained');
  const random = baseline ? await probed(await randomFeatures(run, images, onProgress), 'random') : null;
  await writeClassifiers(runFolder, {
    checkpoint: run.sha256,
    classes: images.classes,
    classifiers: new Map(trained.classifiers.map((classifier, i) => [widthLabel(widths[i]!), classifier])),
  });
  const result: ProbeResult = {
    kind: 'probe',
    epochs: settings.epochs,
    learningRate: settings.learningRate,
    batchSize: Math.min(settings.batchSize, images.train.length),
    ...subject(evaluation),
    seconds: (performance.now() - started) / 1000,
    widths: widthAccuracies(widths, trained.accuracies, random?.accuracies ?? null),
  };
  await writeResult(runFolder, result);
  return result;
}

/** Trains on the features of the training images, scores those of the test images. */
async function probeFeatures(
  features: readonly SplitFeatures[],
  { run, images: { train, test, classes } }: Evaluation,
  settings: ProbeSettings,
  onTenth: (epoch: number) => void,
): Promise<Probed> {
  const { widths, runtime } = run.config;
  const training = features.map((split, i) => ({ ...split.train, width: widths[i]! }));
  const tenth = Math.ceil(settings.epochs / 10);
  const classifiers = await trainProbe(training, train.labels, classes.length, settings, runtime, (epoch) => {
    if (epoch % tenth === 0) onTenth(epoch);
  });
  const accuracies: Accuracy[] = [];
  for (const [i, classifier] of classifiers.entries()) {
    const counter = new AccuracyCounter();
    await classify(classifier, features[i]!.test, runtime, (scores, image) =>
      counter.add(scores, test.labels[image]!),
    );
    accuracies.push(counter.accuracy);
  }
  return { classifiers, accuracies };
}
