import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatConfig } from '../config/format.js';
import type { Config } from '../config/schema.js';
import { openSource } from '../data/source.js';
import { UsageError } from '../errors.js';
import { buildPrograms } from '../methods/index.js';
import { latestCheckpoint, listCheckpoints, readCheckpoint } from './checkpoint.js';
import { recordFile, readTargetRecord, targetOf, writeTargetRecord } from '../tuning/targetRecord.js';
import { checkResumable } from './resume.js';
import { DeclinedLayers, runTarget } from './runTarget.js';
import type { LoopOptions } from './trainingLoop.js';

export interface RunOptions {
  readonly config: Config;
  /** Created if need be: config.json, tuning.json, programs/, events.jsonl, checkpoints/. */
  readonly runFolder: string;
  /** Go on from the newest checkpoint of the run folder, or from a named one. */
  readonly resume?: boolean | string;
  readonly cacheDirectory?: string;
  /** Write `profile.json` into the run folder when the first steps are done: where their time went. */
  readonly profile?: boolean;
}

export interface RunReport {
  /** Told of what takes long; the next message replaces it. */
  readonly onProgress: (message: string) => void;
  /** Told what a person should know of the run. */
  readonly onNotice: (message: string) => void;
}

/**
 * Checks what a run needs and writes its folder: config, programs and what they are lowered for. Whatever is wrong with the images or the
 * checkpoint is said before anything is written. Throws a UsageError for a run folder that already holds a run
 * (unless it is resumed), for a checkpoint of another config and for fewer images than a batch has.
 */
export async function prepareRun(
  { config, runFolder, resume = false, cacheDirectory, profile = false }: RunOptions,
  { onProgress, onNotice }: RunReport,
): Promise<LoopOptions> {
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
  const source = await openSource(config.data.source, {
    limit: config.data.limit,
    seed: config.seed,
    onProgress,
    ...(cacheDirectory !== undefined && { cacheDirectory }),
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
  const record = await runTarget(config, {
    recorded: resume === false ? null : await readTargetRecord(join(runFolder, recordFile)),
    cacheDirectory,
    onProgress,
    onNotice,
  });
  const declined = new DeclinedLayers();
  await mkdir(runFolder, { recursive: true });
  await buildPrograms(
    config,
    programs,
    targetOf(record, (graph, node) => declined.add(graph, node)),
  );
  await writeTargetRecord(join(runFolder, recordFile), record);
  if (declined.notice) onNotice(declined.notice);
  await writeFile(join(runFolder, 'config.json'), formatConfig(config));
  return {
    config,
    programs,
    runFolder,
    profile,
    ...(checkpoint !== undefined && { checkpoint }),
    ...(cacheDirectory !== undefined && { cacheDirectory }),
  };
}
