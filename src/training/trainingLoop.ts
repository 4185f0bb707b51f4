import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import type { ViewBatch, ViewLoader } from '../data/loader.js';
import type { ImageSource } from '../data/source.js';
import { StepProfiler } from '../profile/stepProfiler.js';
import type { Manifest } from '../programs/manifest.js';
import { replaceFile } from '../replaceFile.js';
import { version } from '../version.js';
import { listCheckpoints, writeCheckpoint } from './checkpoint.js';
import type { TrainingEvent } from './events.js';
import { logFormat } from './logFormat.js';
import type { Monitor, OpenMonitor } from './monitor.js';
import { openLoader } from './openLoader.js';
import { TrainingPlan, type PlannedStep } from './plan.js';
import type { TrainingState } from './state.js';
import { openStep } from './steps/index.js';
import { DivergenceError, type Step } from './steps/step.js';
import { wasMeasured } from './wasMeasured.js';

/** A run that is ready to train. */
export interface PreparedRun {
  readonly config: Config;
  /** Folder of the emitted programs, and what describes them. */
  readonly programs: string;
  readonly manifest: Manifest;
  readonly runFolder: string;
  /** The images of the config. */
  readonly source: ImageSource;
  /** At its start, or that of the checkpoint to go on from; the loop closes its engine. */
  readonly state: TrainingState;
  readonly cacheDirectory?: string;
  /** Write `profile.json` into the run folder when the first steps are done: where their time went. */
  readonly profile?: boolean;
}

export interface LoopOptions {
  readonly emit: (event: TrainingEvent) => void;
  readonly openMonitor: OpenMonitor;
  /** Told of what takes long before the first step. */
  readonly onProgress?: (message: string) => void;
  /** Told that the first step is about to begin: from now on there is something to lose. */
  readonly onFirstStep?: () => void;
  /** Aborting it writes a checkpoint after the current step and ends training. */
  readonly stop: AbortSignal;
  /** Whether a checkpoint was asked for since the last call. */
  readonly checkpointAsked: () => boolean;
}

export type StopReason = Extract<TrainingEvent, { type: 'stop' }>['reason'];

/**
 * The training loop, from where the state stands to the last step or until it is stopped. Every number depends on the
 * config and the images alone, so an interrupted and resumed run ends with the same weights.
 * Throws a DivergenceError when a loss or anything of the state is no longer finite; earlier checkpoints stay good.
 */
export async function trainingLoop(run: PreparedRun, options: LoopOptions): Promise<StopReason> {
  const started = performance.now();
  const { config, runFolder, state, manifest, source, cacheDirectory, profile } = run;
  const { emit, openMonitor, onProgress, stop } = options;
  const cache = { ...(cacheDirectory !== undefined && { cacheDirectory }) };
  const loader = await openLoader(config, { source, ...cache }).catch(async (error: unknown) => {
    await state.engine.close();
    throw error;
  });
  const resources: { close(): Promise<void> }[] = [loader, state.engine];
  const stopped = (reason: StopReason, message?: string): StopReason => {
    const seconds = secondsSince(started);
    emit({ type: 'stop', reason, step: state.step, seconds, ...(message !== undefined && { message }) });
    return reason;
  };
  try {
    const plan = new TrainingPlan(config, loader.stepsPerEpoch);
    emit({
      type: 'start',
      format: logFormat,
      version,
      config,
      labels: manifest.labels,
      images: loader.length,
      stepsPerEpoch: plan.stepsPerEpoch,
      step: state.step,
    });
    let monitor: Monitor | undefined;
    if (config.monitor.kind !== 'none') {
      const following = { signal: stop, ...(onProgress && { onProgress }) };
      monitor = await openMonitor(config, { images: source, ...cache, ...following });
      resources.unshift(monitor);
    }
    const profiler = profile ? await StepProfiler.open(runFolder) : undefined;
    if (profiler) resources.unshift(profiler);
    const step = await openStep(run.programs, manifest, config, state, profiler?.traceFolder);
    resources.unshift(step);
    const training = new Training(run, options, plan, { loader, step, monitor, profiler });
    return stopped(await training.run());
  } catch (error) {
    if (error instanceof DivergenceError) stopped('diverged', error.message);
    else if (stop.aborted && error === stop.reason) return stopped('interrupted');
    throw error;
  } finally {
    for (const resource of resources) await resource.close();
  }
}

interface Parts {
  readonly loader: ViewLoader;
  readonly step: Step;
  readonly monitor: Monitor | undefined;
  readonly profiler: StepProfiler | undefined;
}

/** The steps of a training, and what is due after each. */
class Training {
  /** Steps done in the newest checkpoint. */
  #saved: number;
  /** Files passed over that were reported. */
  #skipped = 0;
  /** When the last step, or what was due after it, was over. */
  #last = 0;
  #profiler: StepProfiler | undefined;

  constructor(
    private readonly prepared: PreparedRun,
    private readonly options: LoopOptions,
    private readonly plan: TrainingPlan,
    private readonly parts: Parts,
  ) {
    this.#saved = prepared.state.step;
    this.#profiler = parts.profiler;
  }

  async run(): Promise<StopReason> {
    const { plan, options, prepared } = this;
    const { state, runFolder } = prepared;
    const { stop, checkpointAsked } = options;
    this.#reportSkipped();
    let isMeasured = true;
    // What was due when the checkpoint was written, and its process could not measure any more.
    if (plan.measuresAfter(state.step) && !(await wasMeasured(runFolder, state.step - 1))) {
      isMeasured = await this.#measure();
    }
    options.onFirstStep?.();
    this.#last = performance.now();
    while (state.step < plan.total && !stop.aborted) {
      await this.#step(plan.step(state.step));
      if (plan.savesAfter(state.step) || checkpointAsked()) await this.#save();
      if (plan.measuresAfter(state.step)) isMeasured = await this.#measure();
    }
    await this.#save();
    return state.step === plan.total && isMeasured ? 'done' : 'interrupted';
  }

  /** One step, unless it is time to stop before its images have come. */
  async #step(planned: PlannedStep): Promise<void> {
    const { loader, step } = this.parts;
    const { emit } = this.options;
    const index = this.prepared.state.step;
    const began = performance.now();
    const batches = await this.#batches(planned);
    if (!batches) return;
    const loaderSeconds = secondsSince(began);
    const compute = step.computeSeconds;
    const { epoch, learningRate, allWidths, counts, diagnose } = planned;
    const { losses, lossScale, overflow, diagnostics } = await step.run({
      batches,
      learningRate,
      allWidths,
      steps: counts,
      diagnose,
    });
    for (const batch of batches) loader.recycle(batch);
    const now = performance.now();
    emit({
      type: 'step',
      epoch,
      step: index,
      learningRate,
      losses,
      ...(lossScale !== undefined && { lossScale }),
      ...(overflow && { overflow }),
      seconds: (now - this.#last) / 1000,
      computeSeconds: step.computeSeconds - compute,
      loaderSeconds,
    });
    this.#last = now;
    if (diagnostics) emit({ type: 'diagnostics', epoch, step: index, diagnostics });
    this.#reportSkipped();
    await this.#profile({ step: index, seconds: secondsSince(began), loaderSeconds });
  }

  /** The batches of a step; null when training is stopped while the loader is waited for. */
  async #batches({ epoch, firstBatch }: PlannedStep): Promise<ViewBatch[] | null> {
    const { stop } = this.options;
    const { accumulation } = this.prepared.config;
    const batches: ViewBatch[] = [];
    for (let i = 0; i < accumulation; i++) {
      const batch = await unlessAborted(this.parts.loader.batch(epoch, firstBatch + i), stop);
      if (!batch) return null;
      batches.push(batch);
    }
    return batches;
  }

  /** Writes a checkpoint, unless the newest one is of this very step. */
  async #save(): Promise<void> {
    const { config, runFolder, source, state } = this.prepared;
    if (state.step === this.#saved) return;
    const { fingerprint } = source;
    const broken = await state.firstNotFinite();
    if (broken !== null) {
      const kept = (await listCheckpoints(runFolder)).length > 0 ? 'the last checkpoint is kept: ' : '';
      throw new DivergenceError(
        `${broken} is not finite after step ${state.step - 1}; ${kept}lower schedule.peak or lengthen schedule.warmup`,
      );
    }
    const epoch = this.plan.epochsAfter(state.step);
    const saved = { config, epoch, step: state.step, fingerprint, tensors: await state.tensors() };
    const { path } = await writeCheckpoint(runFolder, saved, config.checkpoint.keep);
    this.#saved = state.step;
    this.options.emit({ type: 'checkpoint', epoch, step: state.step, file: path });
  }

  /** What the monitor finds after the last step; false when training is stopped before it has. */
  async #measure(): Promise<boolean> {
    const { emit, stop } = this.options;
    const { state } = this.prepared;
    if (stop.aborted) return false;
    const began = performance.now();
    const step = state.step - 1;
    try {
      const accuracies = await this.parts.monitor!.evaluate(await state.tensors(), stop);
      const { epoch } = this.plan.step(step);
      emit({ type: 'knn', epoch, step, accuracies, seconds: secondsSince(began) });
      return true;
    } catch (error) {
      if (stop.aborted && error === stop.reason) return false;
      throw error;
    } finally {
      this.#last = performance.now();
    }
  }

  async #profile(times: { step: number; seconds: number; loaderSeconds: number }): Promise<void> {
    const profiler = this.#profiler;
    if (!profiler) return;
    const { graphs } = this.parts.step;
    profiler.record(times, graphs);
    const { runFolder, state } = this.prepared;
    if (!profiler.complete && state.step < this.plan.total) return;
    this.#profiler = undefined;
    const profile = await profiler.profile(graphs);
    await profiler.close();
    if (!profile) return;
    const file = join(runFolder, 'profile.json');
    await replaceFile(file, (partial) => writeFile(partial, `${JSON.stringify(profile, undefined, 2)}\n`));
    this.options.emit({ type: 'profile', step: state.step, file });
  }

  #reportSkipped(): void {
    const { skipped } = this.parts.loader;
    for (const { path, reason } of skipped.slice(this.#skipped)) {
      this.options.emit({ type: 'skipped', path, reason });
    }
    this.#skipped = skipped.length;
  }
}

/** What a promise gives; null when the signal comes first. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T | null> {
  if (signal.aborted) return null;
  let abort = () => {};
  const aborted = new Promise<null>((resolve) => {
    abort = () => resolve(null);
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
