import { join, relative } from 'node:path';
import { parseConfig } from '../config/load.js';
import { withKeysSince } from '../config/recorded.js';
import type { Config } from '../config/schema.js';
import { averaged } from '../diagnostics/average.js';
import type { ViewBatch } from '../data/loader.js';
import type { ImageSource } from '../data/source.js';
import type { Engine } from '../engines/engine.js';
import { replicaOptions } from '../engines/engineOptions.js';
import { openEngine } from '../engines/openEngine.js';
import { SlimclrError } from '../errors.js';
import type { Notices } from '../keep.js';
import { readManifest } from '../programs/readManifest.js';
import { checkpointPath, readCheckpoint } from '../training/checkpoint.js';
import type { Diagnostics } from '../diagnostics/measured.js';
import { openLoader } from '../training/openLoader.js';
import { TrainingPlan } from '../training/plan.js';
import { checkResumable } from '../training/resume.js';
import { TrainingState } from '../training/state.js';
import { MethodStep } from '../training/steps/methodStep.js';
import { DivergenceError, type StepResult } from '../training/steps/step.js';
import { imageName } from './finite.js';
import { openRunImages } from './runImages.js';
import { writeResult } from './resultFiles.js';
import type { DiagnosticsResult } from './results.js';

export interface DiagnoseOptions extends Notices {
  /** Path of a checkpoint, or `best`: the best by the run's monitor; default: the newest of the run. */
  readonly checkpoint?: string;
  /** Where the images of the run are now; default: where they were. */
  readonly source?: string;
  /** Steps to measure, >= 1. */
  readonly batches?: number;
  readonly cacheDirectory?: string;
  /** Told of what is being done; the next message replaces it. */
  readonly onProgress?: (message: string) => void;
}

const defaultBatches = 8;

/**
 * Gradients and features of a run at a checkpoint, averaged over steps on the images that training would see next,
 * into `results/diagnostics.json` of its folder. All widths take part, during the slow start too. Nothing of the run
 * changes. Throws a UsageError for a run without checkpoint or programs, for a checkpoint of another run and
 * for other images.
 */
export async function diagnose(runFolder: string, options: DiagnoseOptions = {}): Promise<DiagnosticsResult> {
  const { batches = defaultBatches, cacheDirectory, onProgress } = options;
  const started = performance.now();
  const path = await checkpointPath(runFolder, options.checkpoint);
  const saved = await readCheckpoint(path);
  const programs = join(runFolder, 'programs');
  const manifest = await readManifest(programs);
  const kept = parseConfig(withKeysSince(manifest.config));
  const { data } = kept;
  const source = await openRunImages(
    kept,
    {
      ...(options.source !== undefined && { source: options.source }),
      ...(cacheDirectory !== undefined && { cacheDirectory }),
    },
    'the place where they are now (--source)',
  );
  const config: Config = { ...kept, data: { ...data, source: source.name } };
  const loader = await openLoader(config, { source });
  let engine: Engine | undefined;
  try {
    checkResumable(path, saved, config, loader);
    const single = { ...config, runtime: { ...config.runtime, replicas: 1 } };
    engine = await openEngine(replicaOptions(single.runtime));
    const state = new TrainingState(engine, manifest, config);
    await state.restore(saved.tensors, saved.step);
    const plan = new TrainingPlan(config, loader.stepsPerEpoch);
    // A step moves the key network before it runs: each starts from that of the checkpoint.
    const keys = await state.keys?.readAll();
    const step = await MethodStep.open(programs, manifest, single, state);
    const measured: Diagnostics[] = [];
    try {
      for (let i = 0; i < batches; i++) {
        onProgress?.(`measuring gradients and features, step ${i + 1} of ${batches}`);
        const { epoch, firstBatch } = plan.step(saved.step + i);
        const views: ViewBatch[] = [];
        for (let j = 0; j < config.accumulation; j++) views.push(await loader.batch(epoch, firstBatch + j));
        const input = {
          batches: views,
          learningRate: 0,
          allWidths: true,
          // Schedules end with training, which may be over.
          steps: { all: Math.min(saved.step, plan.total - 1), narrow: 0, total: plan.total },
          diagnose: true,
          update: false,
        };
        const run = async () => {
          if (keys) await state.keys!.writeAll(keys);
          return step.run(input);
        };
        const { diagnostics } = await untilNoOverflow(run).catch((error: unknown) => {
          if (!(error instanceof DivergenceError)) throw error;
          // What follows is advice on training.
          const [found] = error.message.split(';');
          throw new SlimclrError(`diagnostics: ${found} on ${imagesOf(views, source)}`);
        });
        const number = notFinite(diagnostics);
        if (number) throw new SlimclrError(`diagnostics: ${number} on ${imagesOf(views, source)}`);
        measured.push(diagnostics!);
        for (const batch of views) loader.recycle(batch);
      }
    } finally {
      await step.close();
    }
    const result: DiagnosticsResult = {
      kind: 'diagnostics',
      source: source.name,
      checkpoint: relative(runFolder, path),
      step: saved.step,
      batches,
      batchImages: config.batchSize * config.accumulation,
      seconds: (performance.now() - started) / 1000,
      diagnostics: averaged(measured),
    };
    await writeResult(runFolder, result, options);
    return result;
  } finally {
    await engine?.close();
    await loader.close();
  }
}

/** Each overflow of float16 leaves a smaller scale to try again with, or throws a DivergenceError. */
async function untilNoOverflow(run: () => Promise<StepResult>): Promise<StepResult> {
  for (;;) {
    const result = await run();
    if (!result.overflow) return result;
  }
}

/** The images of a step, for messages: batch norm in training mode makes each output one of them all. */
function imagesOf(batches: readonly ViewBatch[], source: ImageSource): string {
  const [first, ...others] = batches.flatMap(({ indices }) => [...indices]);
  return `${imageName(source, first!)} and the ${others.length} images after it in its step`;
}

/** Where a number in a tree is not finite, such as `features.w0.50.std is NaN`; undefined where all are. */
function notFinite(tree: unknown, path: readonly string[] = []): string | undefined {
  if (typeof tree === 'number') return Number.isFinite(tree) ? undefined : `${path.join('.')} is ${tree}`;
  if (typeof tree !== 'object' || tree === null) return undefined;
  for (const [key, value] of Object.entries(tree)) {
    const found = notFinite(value, [...path, key]);
    if (found) return found;
  }
  return undefined;
}
