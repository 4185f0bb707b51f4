import type { Config } from '../config/schema.js';
import { openTrainingImages } from '../data/trainingImages.js';
import { evaluateKnn } from '../evaluation/evaluateKnn.js';
import { evaluateProbe } from '../evaluation/evaluateProbe.js';
import { readRun } from '../report/run.js';
import { latestCheckpoint, listCheckpoints, readCheckpoint } from '../training/checkpoint.js';
import { pretrain } from '../training/pretrain.js';
import { checkResumable } from '../training/resume.js';
import type { AblateOptions, PlannedRun } from './ablate.js';
import type { AblationEvaluation, AblationRun } from './results.js';
import { gradientMeans } from './statistics.js';

type RunOptions = Pick<
  AblateOptions,
  'cacheDirectory' | 'onEvent' | 'onProgress' | 'onNotice' | 'onTraining' | 'signal'
> & {
  readonly evaluation: AblationEvaluation;
};

/** Measurements of the gradients in a run whose config asks for none. */
const measurements = 20;

/** Trains, unless the folder holds the finished training, and evaluates; null when it was interrupted. */
export async function performRun(
  run: PlannedRun,
  config: Config,
  options: RunOptions,
): Promise<AblationRun | null> {
  const { evaluation, cacheDirectory, signal } = options;
  const onProgress = (message: string) => options.onProgress?.(run, message);
  const cache = { ...(cacheDirectory !== undefined && { cacheDirectory }) };
  const onNotice = (message: string) => options.onNotice?.(run, message);
  const evaluated = { ...evaluation, ...cache, ...(signal && { signal }), onProgress, onNotice };
  try {
    if (!(await train(run, config, options))) return null;
    const knn = await evaluateKnn(run.folder, evaluated);
    const ridge = await evaluateProbe(run.folder, { ...evaluated, protocol: 'ridge' });
    const { history } = await readRun(run.folder);
    return {
      variant: run.variant,
      seed: run.seed,
      trainingSeconds: history.seconds,
      evaluationSeconds: knn.seconds + ridge.seconds,
      knn: knn.widths,
      ridge: ridge.widths,
      gradients: gradientMeans(history),
    };
  } catch (error) {
    if (signal?.aborted && error === signal.reason) return null;
    throw error;
  }
}

/** Whether training is finished. */
async function train(run: PlannedRun, config: Config, options: RunOptions): Promise<boolean> {
  const { cacheDirectory, onEvent, onProgress, onNotice, onTraining, signal } = options;
  const { folder } = run;
  const cache = { ...(cacheDirectory !== undefined && { cacheDirectory }) };
  const source = await openTrainingImages(config, {
    onProgress: (message) => onProgress?.(run, message),
    ...(signal && { signal }),
    ...cache,
  });
  const begun = (await listCheckpoints(folder)).length > 0;
  if (begun) {
    const { path, epoch } = await latestCheckpoint(folder);
    if (epoch === config.epochs) {
      checkResumable(path, await readCheckpoint(path), config, source);
      return true;
    }
  }
  const reason = await pretrain({
    config: measuredConfig(config, source.length),
    runFolder: folder,
    resume: begun,
    onEvent: (event) => onEvent?.(run, event),
    onProgress: (message) => onProgress?.(run, message),
    onNotice: (message) => onNotice?.(run, message),
    ...(onTraining && { onTraining }),
    ...(signal && { signal }),
    ...cache,
  });
  return reason !== 'interrupted';
}

/** The config with one checkpoint, and with measurements of the gradients; neither changes training. */
function measuredConfig(config: Config, images: number): Config {
  const { accumulation, batchSize, checkpoint, diagnostics, epochs } = config;
  const steps = epochs * Math.floor(Math.floor(images / batchSize) / accumulation);
  return {
    ...config,
    checkpoint: { ...checkpoint, keep: 1 },
    diagnostics: { everySteps: diagnostics.everySteps || Math.max(1, Math.floor(steps / measurements)) },
  };
}
