import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import { withAbsolutePaths } from '../data/absolutePaths.js';
import { readLabelFile } from '../data/labelFile.js';
import { activeLauncher } from '../distributed/mpi/joinMpi.js';
import { SlimclrError, UsageError } from '../errors.js';
import type { TrainingEvent } from '../training/events.js';
import { FolderLock } from '../training/folderLock.js';
import type { TrainingControl } from '../training/pretrain.js';
import { commandLine } from '../training/processes.js';
import { version } from '../version.js';
import { finishedRuns, writeAblation } from './files.js';
import type { AblationEvaluation, AblationFailure, AblationResult } from './results.js';
import { performRun } from './run.js';
import { expectedSeconds, summarize } from './statistics.js';
import { defaultTable, variantsOf, type AblationTable } from './variants.js';

/** One of the runs that an ablation consists of. */
export interface PlannedRun {
  readonly variant: string;
  readonly seed: number;
  readonly folder: string;
  /** Its place among the runs that were asked for, from 1, and their number. */
  readonly index: number;
  readonly count: number;
  /** Estimate of what it and the runs after it take, from those that are done; null before the first is. */
  readonly secondsLeft: number | null;
}

export interface AblateOptions {
  /** The base config. */
  readonly config: Config;
  /** Created if need be: a run folder `<variant>/seed-<n>` for each run, ablation.json, .md and .html. */
  readonly folder: string;
  /** Runs of each variant; their seeds count from that of the config. Default 2. */
  readonly seeds?: number;
  /** Default: the three techniques (`defaultTable`). */
  readonly table?: AblationTable;
  /** Names of the variants to run; default all of the table. */
  readonly variants?: readonly string[];
  /** Labelled images that the evaluations use. */
  readonly evaluation?: AblationEvaluation;
  readonly cacheDirectory?: string;
  /** Told what happens in a training. */
  readonly onEvent?: (run: PlannedRun, event: TrainingEvent) => void;
  /** Told what takes long beside training; the next message replaces it. */
  readonly onProgress?: (run: PlannedRun, message: string) => void;
  /** Told what a person should know, such as that a run failed. */
  readonly onNotice?: (run: PlannedRun, message: string) => void;
  /** Told when the first step of a training begins. */
  readonly onTraining?: (control: TrainingControl) => void;
  /** Aborting it ends the ablation after the current step, with a checkpoint, or an evaluation at once. */
  readonly signal?: AbortSignal;
}

export const defaultSeeds = 2;

/**
 * Trains and evaluates variants of a config, each with several seeds, and compares them. All variants of a seed run
 * before the next seed, so that a table of some runs compares like with like. What is finished in the folder is not
 * done again, an interrupted training goes on from its checkpoint. A training that fails (divergence) is in
 * `failures`, and the others go on.
 * Throws a UsageError for a bad table, for a folder of another ablation and under a launcher of MPI, a SlimclrError for one in which another
 * process works.
 */
export async function ablate(options: AblateOptions): Promise<AblationResult> {
  const { config, folder, signal } = options;
  const launcher = activeLauncher(config.runtime);
  if (launcher) {
    throw new UsageError(
      `${launcher.name} has started several processes, and an ablation is the work of one; ` +
        'accepted: ablate without a launcher, or pretrain with one',
    );
  }
  let lost: SlimclrError | undefined;
  const lock = await FolderLock.acquire(folder, {
    command: commandLine(),
    onLost: (error) => (lost = error),
    ...(signal && { signal }),
  });
  try {
    return await ablateAlone(options, () => {
      if (lost) throw lost;
    });
  } finally {
    lock.release();
  }
}

/** `checkAlone` throws when the folder is another process's meanwhile. */
async function ablateAlone(options: AblateOptions, checkAlone: () => void): Promise<AblationResult> {
  const { folder, seeds = defaultSeeds, table = defaultTable, signal } = options;
  const config = withAbsolutePaths(options.config);
  const { testLimit, testSource, limit } = options.evaluation ?? {};
  // In a fixed order, and without what is undefined: the file is compared as text.
  const evaluation = {
    ...(limit !== undefined && { limit }),
    ...(testSource !== undefined && { testSource }),
    ...(testLimit !== undefined && { testLimit }),
  };
  if (!Number.isInteger(seeds) || seeds < 1) {
    throw new UsageError(`seeds is ${seeds}; accepted: an integer >= 1`);
  }
  const variants = variantsOf(config, table, options.variants);
  const planned = Array.from({ length: seeds }, (_, i) => config.seed + i).flatMap((seed) =>
    variants.map((variant) => ({ variant, seed })),
  );
  // Accuracies that are there are by these labels.
  const labels = config.data.labels === '' ? null : (await readLabelFile(config.data.labels)).sha256;
  const runs = [...(await finishedRuns(folder, { config, table, evaluation, labels }))];
  const failures: AblationFailure[] = [];
  const isFinished = ({ variant, seed }: (typeof planned)[number]) =>
    runs.some((run) => run.variant === variant.name && run.seed === seed);
  const result = (): AblationResult => ({
    kind: 'ablation',
    version,
    config,
    table,
    evaluation,
    labels,
    complete: planned.every(isFinished),
    runs,
    failures,
    variants: summarize(Object.keys(table), runs),
  });
  await writeAblation(folder, result());
  for (const [i, part] of planned.entries()) {
    if (signal?.aborted) break;
    if (isFinished(part)) continue;
    const { variant, seed } = part;
    const run: PlannedRun = {
      variant: variant.name,
      seed,
      folder: join(folder, variant.name, `seed-${seed}`),
      index: i + 1,
      count: planned.length,
      secondsLeft: expectedSeconds(
        planned
          .slice(i)
          .filter((later) => !isFinished(later))
          .map((later) => later.variant.name),
        runs,
      ),
    };
    try {
      const finished = await performRun(run, { ...variant.config, seed }, { ...options, evaluation });
      if (finished === null) break;
      runs.push(finished);
    } catch (error) {
      // Wrong usage is wrong for the other runs too.
      if (!(error instanceof SlimclrError) || error instanceof UsageError) throw error;
      failures.push({ variant: variant.name, seed, message: error.message });
      options.onNotice?.(run, error.message);
    }
    checkAlone();
    await writeAblation(folder, result());
  }
  return result();
}
