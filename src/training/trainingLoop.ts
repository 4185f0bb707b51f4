import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { viewAugmentations } from '../config/augmentation.js';
import { viewSize, type Config } from '../config/schema.js';
import { slimStartEpoch } from '../config/techniques.js';
import { ViewLoader, type ViewBatch } from '../data/loader.js';
import type { ImageSource } from '../data/source.js';
import { openKnnMonitor, type KnnMonitor } from '../evaluation/knnMonitor.js';
import { readSafetensors } from '../onnx/safetensors.js';
import { learningRate } from '../optimizers/schedule.js';
import { StepProfiler } from '../profile/stepProfiler.js';
import { readManifest } from '../runtime/programs.js';
import { version } from '../version.js';
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { TrainingEvent } from './events.js';
import { logFormat } from './logFormat.js';
import { checkResumable } from './resume.js';
import { TrainingState } from './state.js';
import { openStep } from './steps/index.js';
import { DivergenceError, type Step } from './steps/step.js';

export interface LoopOptions {
  readonly config: Config;
  /** Folder of the emitted programs. */
  readonly programs: string;
  readonly runFolder: string;
  /** Checkpoint to go on from. */
  readonly checkpoint?: string;
  readonly cacheDirectory?: string;
  /** Write `profile.json` into the run folder when the first steps are done: where their time went. */
  readonly profile?: boolean;
}

export type StopReason = Extract<TrainingEvent, { type: 'stop' }>['reason'];

/**
 * The training loop, from start or a checkpoint to the last step or until `interrupted` says so. Every number
 * depends on the config and the images alone, so an interrupted and resumed run ends with the same weights.
 * Throws a DivergenceError when a loss or a weight is no longer finite; the last checkpoint stays good.
 */
export async function trainingLoop(
  { config, programs, runFolder, checkpoint, cacheDirectory, profile = false }: LoopOptions,
  emit: (event: TrainingEvent) => void,
  interrupted: () => boolean,
): Promise<StopReason> {
  const started = performance.now();
  const { accumulation, diagnostics, epochs, monitor, seed, techniques } = config;
  const manifest = await readManifest(programs);
  const state = new TrainingState(manifest, config);
  const loader = await openLoader(config, cacheDirectory);
  let step: Step | undefined;
  let knn: KnnMonitor | undefined;
  let profiler: StepProfiler | undefined;
  try {
    const { fingerprint } = loader;
    const stepsPerEpoch = Math.floor(loader.stepsPerEpoch / accumulation);
    const total = epochs * stepsPerEpoch;
    const slimStart = slimStartEpoch(techniques.slowStart) * stepsPerEpoch;
    if (checkpoint === undefined) {
      state.initialize((await readSafetensors(join(programs, manifest.weights))).tensors, seed);
    } else {
      const saved = await readCheckpoint(checkpoint);
      checkResumable(checkpoint, saved, config, loader);
      state.restore(saved.tensors, saved.step);
    }
    emit({
      type: 'start',
      format: logFormat,
      version,
      config,
      labels: manifest.labels,
      images: loader.length,
      stepsPerEpoch,
      step: state.step,
    });
    let skipped = 0;
    const reportSkipped = () => {
      for (const { path, reason } of loader.skipped.slice(skipped)) emit({ type: 'skipped', path, reason });
      skipped = loader.skipped.length;
    };
    reportSkipped();
    const save = async () => {
      if (!state.parameters.data.every(Number.isFinite)) {
        throw new DivergenceError(
          `a parameter is not finite after step ${state.step - 1}; the last checkpoint is kept: lower schedule.peak`,
        );
      }
      const epoch = Math.floor(state.step / stepsPerEpoch);
      const saved = { config, epoch, step: state.step, fingerprint, tensors: state.tensors() };
      const { path } = await writeCheckpoint(runFolder, saved, config.checkpoint.keep);
      emit({ type: 'checkpoint', epoch, step: state.step, file: path });
    };
    const stopped = (reason: StopReason) => {
      emit({ type: 'stop', reason, step: state.step, seconds: secondsSince(started) });
      return reason;
    };

    if (monitor.kind !== 'none') {
      knn = await openKnnMonitor(config, { ...(cacheDirectory !== undefined && { cacheDirectory }) });
    }
    if (profile) profiler = await StepProfiler.open(runFolder);
    step = await openStep(programs, manifest, config, state, profiler?.traceFolder);
    let last = performance.now();
    while (state.step < total) {
      const index = state.step;
      const epoch = Math.floor(index / stepsPerEpoch);
      const compute = step.computeSeconds;
      const waiting = performance.now();
      const batches: ViewBatch[] = [];
      for (let i = 0; i < accumulation; i++) {
        batches.push(await loader.batch(epoch, (index % stepsPerEpoch) * accumulation + i));
      }
      const loaderSeconds = (performance.now() - waiting) / 1000;
      const rate = learningRate(config.schedule, techniques.slowStart, {
        step: index,
        steps: total,
        stepsPerEpoch,
      });
      const { losses, diagnostics: measured } = await step.run({
        batches,
        learningRate: rate,
        allWidths: index >= slimStart,
        steps: { all: index, narrow: Math.max(index - slimStart, 0), total },
        diagnose: diagnostics.everySteps > 0 && index % diagnostics.everySteps === 0,
      });
      for (const batch of batches) loader.recycle(batch);
      const now = performance.now();
      emit({
        type: 'step',
        epoch,
        step: index,
        learningRate: rate,
        losses,
        seconds: (now - last) / 1000,
        computeSeconds: step.computeSeconds - compute,
        loaderSeconds,
      });
      if (measured) emit({ type: 'diagnostics', epoch, step: index, diagnostics: measured });
      last = now;
      reportSkipped();
      const seconds = (performance.now() - waiting) / 1000;
      profiler?.record({ step: index, seconds, loaderSeconds }, step.sessions);
      if (profiler && (profiler.complete || state.step === total)) {
        const measured = await profiler.profile(step.sessions);
        await profiler.close();
        profiler = undefined;
        if (measured) {
          const file = join(runFolder, 'profile.json');
          await writeFile(file, `${JSON.stringify(measured, undefined, 2)}\n`);
          emit({ type: 'profile', step: state.step, file });
        }
      }
      const epochEnds = state.step % stepsPerEpoch === 0;
      const due = epochEnds && (epoch + 1) % config.checkpoint.everyEpochs === 0;
      const stop = interrupted() && state.step < total;
      if (due || stop || state.step === total) await save();
      if (knn && monitor.kind !== 'none' && epochEnds && !stop) {
        if ((epoch + 1) % monitor.everyEpochs === 0 || state.step === total) {
          const began = performance.now();
          const accuracies = await knn.evaluate(state.tensors());
          emit({ type: 'knn', epoch, step: index, accuracies, seconds: secondsSince(began) });
          last = performance.now();
        }
      }
      if (stop) return stopped('interrupted');
    }
    return stopped('done');
  } catch (error) {
    if (error instanceof DivergenceError) {
      const { message } = error;
      emit({ type: 'stop', reason: 'diverged', step: state.step, seconds: secondsSince(started), message });
    }
    throw error;
  } finally {
    await step?.close();
    await knn?.close();
    await profiler?.close();
    await loader.close();
  }
}

/** The views that a config trains on. */
export function openLoader(
  config: Config,
  cacheDirectory?: string,
  source: string | ImageSource = config.data.source,
): Promise<ViewLoader> {
  const { accumulation, augmentation, batchSize, data, seed } = config;
  return ViewLoader.open({
    source,
    limit: data.limit,
    seed,
    batchSize,
    imageSize: viewSize(config),
    mean: data.mean,
    std: data.std,
    augmentations: viewAugmentations(augmentation),
    workers: data.workers,
    prefetch: Math.max(data.workers, accumulation),
    ...(cacheDirectory !== undefined && { cacheDirectory }),
  });
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
