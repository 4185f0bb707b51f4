import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import type { ViewBatch, ViewLoader } from '../data/loader.js';
import type { SkippedFile } from '../data/source.js';
import type { TrainingImages } from '../data/trainingImages.js';
import { alone, type ReplicaGroup } from '../distributed/replicaGroup.js';
import { StepProfiler } from '../profile/stepProfiler.js';
import type { Manifest } from '../programs/manifest.js';
import { replaceFile } from '../replaceFile.js';
import { version } from '../version.js';
import { Checkpoints } from './checkpoints.js';
import type { TrainingEvent } from './events.js';
import { logFormat } from './logFormat.js';
import { Measurements } from './measurements.js';
import type { Monitor, OpenMonitor } from './monitor.js';
import { openLoader } from './openLoader.js';
import { TrainingPlan, type PlannedStep } from './plan.js';
import type { TrainingState } from './state.js';
import { openStep } from './steps/index.js';
import { DivergenceError, type Step } from './steps/step.js';
import { stopReason } from './timeLimit.js';

/** A run that is ready to train. */
export interface PreparedRun {
  readonly config: Config;
  /** Folder of the emitted programs, and what describes them. */
  readonly programs: string;
  readonly manifest: Manifest;
  readonly runFolder: string;
  /** The images of the config. */
  readonly source: TrainingImages;
  /** At its start, or that of the checkpoint to go on from; the loop closes its engine. */
  readonly state: TrainingState;
  readonly cacheDirectory?: string;
  /** Processes that train together, of which this is one; default: it trains alone. The first one measures and saves. */
  readonly group?: ReplicaGroup;
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
  const { config, runFolder, state, manifest, source, cacheDirectory, profile, group = alone } = run;
  const leads = group.rank === 0;
  const { emit, openMonitor, onProgress, stop } = options;
  const cache = { ...(cacheDirectory !== undefined && { cacheDirectory }) };
  const loader = await openLoader(config, { source, share: group, ...cache }).catch(
    async (error: unknown) => {
      await state.engine.close();
      throw error;
    },
  );
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
    const checkpoints = leads ? await Checkpoints.open(run, plan, emit) : undefined;
    if (checkpoints) resources.unshift(checkpoints);
    let monitor: Monitor | undefined;
    if (leads && config.monitor.kind !== 'none') {
      const following = { signal: stop, ...(onProgress && { onProgress }) };
      monitor = await openMonitor(config, { images: source, ...cache, ...following });
      resources.unshift(monitor);
    }
    const profiler = profile ? await StepProfiler.open(runFolder) : undefined;
    if (profiler) resources.unshift(profiler);
    const step = await openStep(run.programs, manifest, config, state, {
      traceFolder: profiler?.traceFolder,
      group,
    });
    resources.unshift(step);
    const training = new Training(run, options, plan, { loader, step, checkpoints, monitor, profiler });
    const { reason, message } = await training.run();
    return stopped(reason, message);
  } catch (error) {
    if (error instanceof DivergenceError) stopped('diverged', error.message);
    else if (stop.aborted && error === stop.reason) return stopped(stopReason(stop));
    throw error;
  } finally {
    for (const resource of resources) await resource.close();
  }
}

interface Parts {
  readonly loader: ViewLoader;
  readonly step: Step;
  /** Of the one that saves. */
  readonly checkpoints: Checkpoints | undefined;
  readonly monitor: Monitor | undefined;
  readonly profiler: StepProfiler | undefined;
}

/** What processes that train together tell each other before each step. */
interface Wishes {
  /** To end before this step, and why; null: to go on. */
  readonly stop: StopReason | null;
  /** A checkpoint after it. */
  readonly checkpoint: boolean;
  /** Files that were passed over and have not been reported. */
  readonly skipped: readonly SkippedFile[];
}

/** The steps of a training, and what is due after each. */
class Training {
  /** Files passed over that were taken note of, and the paths of those that were reported. */
  #skipped = 0;
  readonly #reported = new Set<string>();
  /** When the last step, or what was due after it, was over. */
  #last = 0;
  #profiler: StepProfiler | undefined;
  /** Why it ends, where it does before its last step. */
  #stopReason: StopReason = 'interrupted';
  /** What the monitor has found; null without one. */
  readonly #measurements: Measurements | null;

  constructor(
    private readonly prepared: PreparedRun,
    private readonly options: LoopOptions,
    private readonly plan: TrainingPlan,
    private readonly parts: Parts,
  ) {
    this.#profiler = parts.profiler;
    this.#measurements = parts.monitor ? new Measurements(prepared.config, plan.stepsPerEpoch) : null;
  }

  /** Ends when all checkpoints are durable. What has gone wrong with one is thrown before what has after it. */
  async run(): Promise<{ readonly reason: StopReason; readonly message?: string }> {
    const { checkpoints } = this.parts;
    try {
      return await this.#steps();
    } finally {
      await checkpoints?.settled();
    }
  }

  async #steps(): Promise<{ readonly reason: StopReason; readonly message?: string }> {
    const { plan, options, prepared } = this;
    const { checkpoints } = this.parts;
    const { state } = prepared;
    this.#reportSkipped(this.#newlySkipped());
    let isMeasured = await this.#resumeMeasuring();
    options.onFirstStep?.();
    this.#last = performance.now();
    while (state.step < plan.total) {
      const isAsked = await this.#step(plan.step(state.step));
      if (isAsked === null) break;
      await this.#whileBusy(async () => {
        await checkpoints?.afterStep(isAsked || options.checkpointAsked());
        if (this.#measurements && plan.measuresAfter(state.step)) isMeasured = await this.#measure();
      });
    }
    // The others wait for the last checkpoint.
    prepared.group?.limitWaiting?.(Infinity);
    await checkpoints?.save();
    if (state.step === plan.total) return { reason: isMeasured ? 'done' : stopReason(options.stop) };
    const message = this.#measurements?.stop;
    return message ? { reason: 'early', message } : { reason: this.#stopReason };
  }

  /** Takes up what was measured before, and measures what was due when the checkpoint was written and is missing. */
  async #resumeMeasuring(): Promise<boolean> {
    const { state } = this.prepared;
    if (!this.#measurements || state.step === 0) return true;
    await this.parts.checkpoints!.resume(this.#measurements);
    if (!this.plan.measuresAfter(state.step) || this.#measurements.has(state.step - 1)) return true;
    return this.#measure();
  }

  /**
   * One step, unless it is time to stop before its images have come: null. Otherwise whether another process was asked for
   * a checkpoint.
   */
  async #step(planned: PlannedStep): Promise<boolean | null> {
    const { loader, step } = this.parts;
    const { emit } = this.options;
    const index = this.prepared.state.step;
    const began = performance.now();
    const batches = this.#measurements?.stop ? null : await this.#batches(planned);
    const loaderSeconds = secondsSince(began);
    const asked = await this.#agree(
      batches ? null : this.#measurements?.stop ? 'early' : stopReason(this.options.stop),
    );
    if (asked.stop) this.#stopReason = asked.stop;
    if (!batches || asked.stop) return null;
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
      memory: process.memoryUsage.rss(),
    });
    this.#last = now;
    if (diagnostics) emit({ type: 'diagnostics', epoch, step: index, diagnostics });
    this.#reportSkipped(this.#newlySkipped());
    await this.#whileBusy(() => this.#profile({ step: index, seconds: secondsSince(began), loaderSeconds }));
    return asked.checkpoint;
  }

  /** What this process does alone, for which others may wait as long as it takes. */
  #whileBusy(work: () => Promise<void>): Promise<void> {
    const { group = alone } = this.prepared;
    return group.rank === 0 && group.whileBusy ? group.whileBusy(work) : work();
  }

  /** What any of the processes that train together wishes, so that all do the same. */
  async #agree(stop: StopReason | null): Promise<Pick<Wishes, 'stop' | 'checkpoint'>> {
    const { group = alone } = this.prepared;
    if (group.size === 1) return { stop, checkpoint: false };
    const leads = group.rank === 0;
    const wishes = await group.gather<Wishes>({
      stop,
      checkpoint: !leads && this.options.checkpointAsked(),
      skipped: leads ? [] : this.#newlySkipped(),
    });
    if (leads) for (const { skipped } of wishes) this.#reportSkipped(skipped);
    // All have come to their first step.
    group.limitWaiting?.(this.prepared.config.runtime.stepTimeout || Infinity);
    return {
      stop: wishes.find(({ stop }) => stop !== null)?.stop ?? null,
      checkpoint: wishes.some(({ checkpoint }) => checkpoint),
    };
  }

  /** This process's batches of a step; null when training is stopped while the loader is waited for. */
  async #batches({ epoch, firstBatch }: PlannedStep): Promise<ViewBatch[] | null> {
    const { stop } = this.options;
    const { config, group = alone } = this.prepared;
    const count = config.accumulation / group.size;
    const batches: ViewBatch[] = [];
    for (let i = group.rank * count; i < (group.rank + 1) * count; i++) {
      const batch = await unlessAborted(this.parts.loader.batch(epoch, firstBatch + i), stop);
      if (!batch) return null;
      batches.push(batch);
    }
    return batches;
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
      this.#measurements!.add({ step, accuracies });
      await this.parts.checkpoints!.measured(this.#measurements!);
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
    await replaceFile(file, `${JSON.stringify(profile, undefined, 2)}\n`);
    this.options.emit({ type: 'profile', step: state.step, file });
  }

  #newlySkipped(): readonly SkippedFile[] {
    const { skipped } = this.parts.loader;
    const fresh = skipped.slice(this.#skipped);
    this.#skipped = skipped.length;
    return fresh;
  }

  /** Each path once: all processes pass over what could not be opened. */
  #reportSkipped(files: readonly SkippedFile[]): void {
    for (const { path, reason } of files) {
      if (this.#reported.has(path)) continue;
      this.#reported.add(path);
      this.options.emit({ type: 'skipped', path, reason });
    }
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
