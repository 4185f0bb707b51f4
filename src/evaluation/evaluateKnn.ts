import { widthLabel } from '../nn/widthLabel.js';
import {
  withEvaluation,
  subject,
  widthAccuracies,
  type Evaluation,
  type EvaluationOptions,
} from './evaluation.js';
import { knnAccuracy } from './knn.js';
import { defaultKnnSettings, type KnnSettings } from './knnSettings.js';
import { writeResult } from './resultFiles.js';
import type { Accuracy, KnnResult } from './results.js';
import {
  encoderFeatures,
  randomEncoder,
  report,
  trainedEncoder,
  type EncoderSetup,
  type Watch,
} from './runFeatures.js';

export type KnnOptions = EvaluationOptions & Partial<KnnSettings>;

/**
 * kNN accuracy of a run's encoder at every width, into `results/knn.json` of its folder.
 * Throws a UsageError for a run without checkpoint, images without labels and settings out of range.
 */
export async function evaluateKnn(runFolder: string, options: KnnOptions = {}): Promise<KnnResult> {
  const started = performance.now();
  const { k = defaultKnnSettings.k, temperature = defaultKnnSettings.temperature } = options;
  const { baseline = false } = options;
  return withEvaluation(runFolder, options, async (evaluation) => {
    const { run, images, engine } = evaluation;
    const { widths } = run.config;
    const accuracies = (encoder: EncoderSetup) =>
      everyWidth(evaluation, encoder, { k, temperature }, options);
    const trained = await accuracies(trainedEncoder(run));
    const random = baseline ? await accuracies(randomEncoder(run, images, options, engine)) : null;
    const result: KnnResult = {
      kind: 'knn',
      k: Math.min(k, images.train.length),
      temperature,
      ...subject(evaluation),
      seconds: (performance.now() - started) / 1000,
      widths: widthAccuracies(widths, trained, random),
    };
    await writeResult(runFolder, result, options);
    return result;
  });
}

async function everyWidth(
  evaluation: Evaluation,
  encoder: EncoderSetup,
  settings: KnnSettings,
  watch: Watch,
): Promise<Accuracy[]> {
  const { engine } = evaluation;
  const { widths } = evaluation.run.config;
  const { train, test, classes } = evaluation.images;
  const accuracies: Accuracy[] = [];
  for (const [i, features] of (await encoderFeatures(evaluation, encoder, watch)).entries()) {
    report(watch, `kNN, ${encoder.kind} encoder, ${widthLabel(widths[i]!)}`);
    const bank = { ...features.train, labels: train.labels };
    const queries = { ...features.test, labels: test.labels };
    accuracies.push(await knnAccuracy(bank, queries, classes.length, settings, engine));
  }
  return accuracies;
}
