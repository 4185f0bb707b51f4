import { join, relative } from 'node:path';
import type { Config } from '../config/schema.js';
import { averaged } from '../diagnostics/average.js';
import { readManifest } from '../runtime/programs.js';
import { latestCheckpoint, readCheckpoint } from '../training/checkpoint.js';
import type { Diagnostics } from '../training/events.js';
import { checkResumable } from '../training/resume.js';
import { TrainingState } from '../training/state.js';
import { openMethodStep } from '../training/steps/openMethodStep.js';
import { openLoader } from '../training/trainingLoop.js';
import { writeResult } from './resultFiles.js';
import type { DiagnosticsResult } from './results.js';

export interface DiagnoseOptions {
  /** Path of a checkpoint; default: the newest of the run. */
  readonly checkpoint?: string;
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
 * changes. Throws a UsageError for a run without checkpoint or programs, and for a checkpoint of another run.
 */
export async function diagnose(runFolder: string, options: DiagnoseOptions = {}): Promise<DiagnosticsResult> {
  const { batches = defaultBatches, cacheDirectory, onProgress } = options;
  const started = performance.now();
  const path = options.checkpoint ?? (await latestCheckpoint(runFolder)).path;
  const saved = await readCheckpoint(path);
  const programs = join(runFolder, 'programs');
  const manifest = await readManifest(programs);
  const config = manifest.config as Config;
  const loader = await openLoader(config, cacheDirectory);
  try {
    checkResumable(path, saved, config, loader.fingerprint);
    const state = new TrainingState(manifest, config);
    state.restore(saved.tensors, saved.step);
    const stepsPerEpoch = Math.floor(loader.stepsPerEpoch / config.accumulation);
    const total = config.epochs * stepsPerEpoch;
    // A step moves the key network before it runs: each starts from that of the checkpoint.
    const keys = state.keys?.data.slice();
    const single = { ...config, runtime: { ...config.runtime, replicas: 1 } };
    const step = await openMethodStep(programs, manifest, single, state);
    const measured: Diagnostics[] = [];
    try {
      for (let i = 0; i < batches; i++) {
        onProgress?.(`measuring gradients and features, step ${i + 1} of ${batches}`);
        const index = saved.step + i;
        const epoch = Math.floor(index / stepsPerEpoch);
        const first = (index % stepsPerEpoch) * config.accumulation;
        const views = [];
        for (let j = 0; j < config.accumulation; j++) views.push(await loader.batch(epoch, first + j));
        if (keys) state.keys!.data.set(keys);
        const { diagnostics } = await step.run({
          batches: views,
          learningRate: 0,
          allWidths: true,
          // Schedules end with training, which may be over.
          steps: { all: Math.min(saved.step, total - 1), narrow: 0, total },
          diagnose: true,
          update: false,
        });
        measured.push(diagnostics!);
        for (const batch of views) loader.recycle(batch);
      }
    } finally {
      await step.close();
    }
    const result: DiagnosticsResult = {
      kind: 'diagnostics',
      source: config.data.source,
      checkpoint: relative(runFolder, path),
      step: saved.step,
      batches,
      batchImages: config.batchSize * config.accumulation,
      seconds: (performance.now() - started) / 1000,
      diagnostics: averaged(measured),
    };
    await writeResult(runFolder, result);
    return result;
  } finally {
    await loader.close();
  }
}
