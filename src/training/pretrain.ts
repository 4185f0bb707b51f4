import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { formatConfig } from '../config/format.js';
import type { Config } from '../config/schema.js';
import { SlimclrError, UsageError } from '../errors.js';
import { buildPrograms } from '../methods/index.js';
import { latestCheckpoint, listCheckpoints, readCheckpoint } from './checkpoint.js';
import type { TrainingEvent } from './events.js';
import type { StopReason } from './trainingLoop.js';
import type { WorkerInput, WorkerMessage } from './trainingWorker.js';
import { openSource } from '../data/source.js';
import { checkResumable } from './resume.js';

export interface PretrainOptions {
  readonly config: Config;
  /** Created if need be: config.json, programs/, events.jsonl, checkpoints/. */
  readonly runFolder: string;
  /** Go on from the newest checkpoint of the run folder, or from a named one. */
  readonly resume?: boolean | string;
  readonly cacheDirectory?: string;
  readonly onEvent?: (event: TrainingEvent) => void;
  /** Told of what takes long before training starts, such as a download. */
  readonly onProgress?: (message: string) => void;
  /** Aborting it writes a checkpoint after the current step and ends the run with `interrupted`. */
  readonly signal?: AbortSignal;
}

/**
 * Pre-trains in a worker thread: writes the program folder, then runs the training loop.
 * Throws a UsageError for a run folder that already holds a run (unless it is resumed) and for a checkpoint of
 * another config; a SlimclrError when training fails. Nothing saved before is lost.
 */
export async function pretrain(options: PretrainOptions): Promise<StopReason> {
  const { config, runFolder, resume = false, cacheDirectory, onEvent, onProgress, signal } = options;
  const configFile = join(runFolder, 'config.json');
  if (resume === false && (await listCheckpoints(runFolder)).length > 0) {
    throw new UsageError(
      `${runFolder} already holds a run; --resume continues it, another --output starts a new one`,
    );
  }
  const checkpoint =
    resume === false
      ? undefined
      : typeof resume === 'string'
        ? resume
        : (await latestCheckpoint(runFolder)).path;
  // Whatever is wrong with the images or the checkpoint is said before anything is written.
  const source = await openSource(config.data.source, {
    limit: config.data.limit,
    seed: config.seed,
    ...(cacheDirectory !== undefined && { cacheDirectory }),
    ...(onProgress && { onProgress }),
  });
  if (source.length < config.batchSize) {
    throw new UsageError(
      `${config.data.source}: ${source.length} image${source.length === 1 ? '' : 's'}, fewer than batchSize ` +
        `${config.batchSize}; accepted: at least one batch`,
    );
  }
  if (checkpoint !== undefined) {
    checkResumable(checkpoint, await readCheckpoint(checkpoint), config, source.fingerprint);
  }
  const programs = join(runFolder, 'programs');
  await mkdir(runFolder, { recursive: true });
  await buildPrograms(config, programs);
  await writeFile(configFile, formatConfig(config));

  const stop = new SharedArrayBuffer(4);
  const input: WorkerInput = {
    options: {
      config,
      programs,
      runFolder,
      ...(checkpoint !== undefined && { checkpoint }),
      ...(cacheDirectory !== undefined && { cacheDirectory }),
    },
    stop,
  };
  const abort = () => Atomics.store(new Int32Array(stop), 0, 1);
  signal?.addEventListener('abort', abort, { once: true });
  // An abort while images were opened or programs built has no listener any more.
  if (signal?.aborted) abort();
  const worker = new Worker(new URL('./trainingWorker.js', import.meta.url), { workerData: input });
  try {
    return await new Promise<StopReason>((resolve, reject) => {
      worker.on('message', (message: WorkerMessage) => {
        if (message.kind === 'event') onEvent?.(message.event);
        else if (message.kind === 'done') resolve(message.reason);
        else reject(revived(message));
      });
      worker.once('error', reject);
      worker.once('exit', (code) => reject(new Error(`the training thread ended with code ${code}`)));
    });
  } finally {
    signal?.removeEventListener('abort', abort);
    await worker.terminate();
  }
}

/** Errors lose their class on the way between threads. */
function revived({ message, exitCode }: Extract<WorkerMessage, { kind: 'failed' }>): SlimclrError {
  return exitCode === 2 ? new UsageError(message) : new SlimclrError(message);
}
