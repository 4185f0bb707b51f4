import { writeFile } from 'node:fs/promises';
import { viewAugmentations } from '../config/augmentation.js';
import { viewSize, type Config } from '../config/schema.js';
import { ViewLoader } from '../data/loader.js';
import { learningRate } from '../optimizers/schedule.js';
import { StepProfiler } from '../profile/stepProfiler.js';
import { readManifest } from '../runtime/programs.js';
import { readSafetensors } from '../onnx/safetensors.js';
import { version } from '../version.js';
import { join } from 'node:path';
import { checkResumable } from './resume.js';
import { readCheckpoint, writeCheckpoint } from './checkpoint.js';
import type { TrainingEvent } from './events.js';
import { DivergenceError, MocoV2Step } from './mocoV2Step.js';
import { TrainingState } from './state.js';

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
  const { batchSize, data, epochs, method, seed } = config;
  const manifest = await readManifest(programs);
  const state = new TrainingState(manifest, config);
  const loader = await ViewLoader.open({
    source: data.source,
    limit: data.limit,
    seed,
    batchSize,
    imageSize: viewSize(config),
    mean: data.mean,
    std: data.std,
    augmentations: viewAugmentations(config.augmentation),
    workers: data.workers,
    ...(cacheDirectory !== undefined && { cacheDirectory }),
  });
  let step: MocoV2Step | undefined;
  let profiler: StepProfiler | undefined;
  try {
    const { stepsPerEpoch, fingerprint } = loader;
    if (checkpoint === undefined) {
      state.initialize((await readSafetensors(join(programs, manifest.weights))).tensors, seed);
    } else {
      const saved = await readCheckpoint(checkpoint);
      checkResumable(checkpoint, saved, config, fingerprint);
      state.restore(saved.tensors, saved.step);
    }
    const total = epochs * stepsPerEpoch;
    emit({
      type: 'start',
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

    if (profile) profiler = await StepProfiler.open(runFolder);
    step = await MocoV2Step.open(programs, manifest, config, state, profiler?.traceFolder);
    let last = performance.now();
    while (state.step < total) {
      const index = state.step;
      const epoch = Math.floor(index / stepsPerEpoch);
      const compute = step.computeSeconds;
      const waiting = performance.now();
      const batch = await loader.batch(epoch, index % stepsPerEpoch);
      const loaderSeconds = (performance.now() - waiting) / 1000;
      const rate = learningRate(config.schedule, index, total);
      const allWidths = epoch >= method.slimStartEpoch;
      const losses = await step.run({ views: batch.views, learningRate: rate, allWidths });
      loader.recycle(batch);
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
      if (stop) {
        emit({ type: 'stop', reason: 'interrupted', step: state.step, seconds: secondsSince(started) });
        return 'interrupted';
      }
    }
    emit({ type: 'stop', reason: 'done', step: state.step, seconds: secondsSince(started) });
    return 'done';
  } catch (error) {
    if (error instanceof DivergenceError) {
      const { message } = error;
      emit({ type: 'stop', reason: 'diverged', step: state.step, seconds: secondsSince(started), message });
    }
    throw error;
  } finally {
    await step?.close();
    await profiler?.close();
    await loader.close();
  }
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
