import { widthLabel } from '../programs/manifest.js';
import {
  openEvaluation,
  subject,
  widthAccuracies,
  type Evaluation,
  type EvaluationOptions,
} from './evaluation.js';
import { defaultKnnSettings, knnAccuracy, type KnnSettings } from './knn.js';
import { writeResult } from './resultFiles.js';
import type { Accuracy, KnnResult } from './results.js';
import { randomFeatures, trainedFeatures, type SplitFeatures } from './runFeatures.js';

export type KnnOptions = EvaluationOptions & Partial<KnnSettings>;

/**
 * kNN accuracy of a run's encoder at every width, into `results/knn.json` of its folder.
 * Throws a UsageError for a run without checkpoint, images without labels and settings out of range.
 */
export async function evaluateKnn(runFolder: string, options: KnnOptions = {}): Promise<KnnResult> {
  const started = performance.now();
  const { k = defaultKnnSettings.k, temperature = defaultKnnSettings.temperature } = options;
  const { baseline = false, onProgress } = options;
  const evaluation = await openEvaluation(runFolder, options);
  const { run, images } = evaluation;
  const { widths } = run.config;
  const accuracies = (features: readonly SplitFeatures[], encoder: string) =>
    everyWidth(features, evaluation, { k, temperature }, (width) =>
      onProgress?.(`kNN, ${encoder} encoder, ${widthLabel(width)}`),
    );
  const trained = await accuracies(await trainedFeatures(run, images, onProgress), 'trained');
  const random = baseline ? await accuracies(await randomFeatures(run, images, onProgress), 'random') : null;
  const result: KnnResult = {
    kind: 'knn',
    k: Math.min(k, images.train.length),
    temperature,
    ...subject(evaluation),
    seconds: (performance.now() - started) / 1000,
    widths: widthAccuracies(widths, trained, random),
  };
  await writeResult(runFolder, result);
  return result;
}

async function everyWidth(
  features: readonly SplitFeatures[],
  { run, images: { train, test, classes } }: Evaluation,
  settings: KnnSettings,
  onWidth: (width: number) => void,
): Promise<Accuracy[]> {
  const { widths, runtime } = run.config;
  const accuracies: Accuracy[] = [];
  for (const [i, split] of features.entries()) {
    onWidth(widths[i]!);
    const bank = { ...split.train, labels: train.labels };
    const queries = { ...split.test, labels: test.labels };
    accuracies.push(await knnAccuracy(bank, queries, classes.length, settings, runtime));
  }
  return accuracies;
}
