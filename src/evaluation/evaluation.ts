import type { Engine } from '../engines/engine.js';
import { openEngine } from '../engines/openEngine.js';
import { widthLabel } from '../nn/widthLabel.js';
import { FeatureCache } from './featureCache.js';
import { openLabelledImages, type LabelledImages, type LabelledImagesOptions } from './labelledImages.js';
import type { Accuracy, KnnResult, WidthAccuracy } from './results.js';
import type { Watch } from './runFeatures.js';
import { openTrainedRun, type TrainedRun } from './trainedRun.js';

export interface EvaluationOptions extends LabelledImagesOptions, Watch {
  /** Path of a checkpoint, or `best`: the best by the run's monitor; default: the newest of the run. */
  readonly checkpoint?: string;
  /** Evaluate the encoder with the random weights of the run's seed as well, also where the run began with others. */
  readonly baseline?: boolean;
}

/** What every evaluation of a run starts from. */
export interface Evaluation {
  readonly run: TrainedRun;
  readonly images: LabelledImages;
  /** Of features, in the run's folder. */
  readonly cache: FeatureCache;
  /** What runs its graphs, as the run's config says. */
  readonly engine: Engine;
}

/** Opens what an evaluation needs for as long as `work` takes. Throws a UsageError for a run without checkpoint and for images without labels. */
export async function withEvaluation<T>(
  runFolder: string,
  options: EvaluationOptions,
  work: (evaluation: Evaluation) => Promise<T>,
): Promise<T> {
  const run = await openTrainedRun(runFolder, options.checkpoint);
  const images = await openLabelledImages(run.config, options);
  const engine = await openEngine(run.config.runtime);
  try {
    return await work({ run, images, cache: new FeatureCache(run.folder, options), engine });
  } finally {
    await engine.close();
  }
}

/** The part of a result that says what was evaluated. */
export function subject({
  run,
  images: { train, test, heldOut },
}: Pick<Evaluation, 'run' | 'images'>): Pick<
  KnnResult,
  'source' | 'testSource' | 'heldOut' | 'trainImages' | 'testImages' | 'checkpoint'
> {
  return {
    source: train.name,
    testSource: test.name,
    ...(heldOut && { heldOut }),
    trainImages: train.length,
    testImages: test.length,
    checkpoint: run.checkpoint,
  };
}

/** Accuracies in the order of widths. */
export function widthAccuracies(
  widths: readonly number[],
  trained: readonly Accuracy[],
  random: readonly Accuracy[] | null,
): WidthAccuracy[] {
  return widths.map((width, i) => ({
    label: widthLabel(width),
    width,
    trained: trained[i]!,
    ...(random && { random: random[i]! }),
  }));
}
