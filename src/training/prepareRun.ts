import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatConfig } from '../config/format.js';
import type { Config } from '../config/schema.js';
import { counted } from '../counted.js';
import { withAbsolutePaths } from '../data/absolutePaths.js';
import { pixelNotices } from '../data/pixelCheck.js';
import { openSource, type ImageSource } from '../data/source.js';
import { replicaOptions } from '../engines/engineOptions.js';
import { openEngine } from '../engines/openEngine.js';
import { UsageError } from '../errors.js';
import { buildPrograms, needsOf } from '../methods/index.js';
import { readSafetensors } from '../onnx/safetensors.js';
import { replaceFile } from '../replaceFile.js';
import { recordFile, readTargetRecord, targetOf, writeTargetRecord } from '../tuning/targetRecord.js';
import { checkpointFolder, latestCheckpoint, listCheckpoints, readCheckpoint } from './checkpoint.js';
import { removeTornCheckpoints } from './checkpointIndex.js';
import { checkModel, keepModel } from './modelCopy.js';
import { checkResumable, threadsNotice } from './resume.js';
import { DeclinedLayers, runTarget } from './runTarget.js';
import { setAsideLog } from './setAsideLog.js';
import { TrainingState } from './state.js';
import type { PreparedRun } from './trainingLoop.js';

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
  /** Aborting it ends the preparation with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Checks what a run needs and writes its folder: config, programs and what they are lowered for. Whatever is wrong with
 * the images or the checkpoint is said before anything is written. Throws a UsageError for a run folder that already
 * holds a run (unless it is resumed), for a checkpoint of another config and for fewer images than a batch has.
 */
export async function prepareRun(
  { config: given, runFolder, resume = false, cacheDirectory, profile = false }: RunOptions,
  { onProgress, onNotice, signal }: RunReport,
): Promise<PreparedRun> {
  const config = withAbsolutePaths(given);
  const { data, seed } = config;
  const { models } = needsOf(config);
  if (resume === false && (await listCheckpoints(runFolder)).length > 0) {
    throw new UsageError(
      `${runFolder} already holds a run; --resume continues it, another --output starts a new one`,
    );
  }
  const checkpoint = resume === true ? (await latestCheckpoint(runFolder)).path : resume;
  if (checkpoint === false) for (const model of models) await checkModel(model);
  const cache = { ...(cacheDirectory !== undefined && { cacheDirectory }) };
  const source = await openSource(data.source, {
    limit: data.limit,
    seed,
    onProgress,
    ...(signal && { signal }),
    ...cache,
  });
  checkImages(config, source);
  for (const notice of [...source.notices, ...(await pixelNotices(source, signal))]) onNotice(notice);
  const saved = checkpoint === false ? null : await readCheckpoint(checkpoint);
  if (saved) {
    checkResumable(checkpoint as string, saved, config, source);
    const notice = threadsNotice(saved.config, config);
    if (notice !== undefined) onNotice(notice);
  }
  signal?.throwIfAborted();
  const record = await runTarget(config, {
    recorded: saved ? await readTargetRecord(join(runFolder, recordFile)) : null,
    cacheDirectory,
    onProgress,
    onNotice,
  });
  signal?.throwIfAborted();
  const programs = join(runFolder, 'programs');
  const declined = new DeclinedLayers();
  const target = targetOf(record, (graph, node) => declined.add(graph, node));
  await mkdir(runFolder, { recursive: true });
  await removeTornCheckpoints(checkpointFolder(runFolder));
  // A run that ended before its first checkpoint has left nothing to go on from: its log is of another one.
  if (!saved) await setAsideLog(runFolder);
  const manifest = await buildPrograms(config, programs, target);
  for (const model of models) await keepModel(model, programs, { isNew: saved === null });
  await writeTargetRecord(join(runFolder, recordFile), record);
  if (declined.notice) onNotice(declined.notice);
  const write = (partial: string) => writeFile(partial, formatConfig(config));
  await replaceFile(join(runFolder, 'config.json'), write, { durable: true });
  const engine = await openEngine(replicaOptions(config.runtime));
  try {
    const state = new TrainingState(engine, manifest, config);
    if (saved) await state.restore(saved.tensors, saved.step);
    else await state.initialize((await readSafetensors(join(programs, manifest.weights))).tensors, seed);
    return { config, programs, manifest, runFolder, source, state, profile, ...cache };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** Throws a UsageError when the images do not fill a batch or lack the labels that the method trains with. */
function checkImages(config: Config, source: ImageSource): void {
  const { accumulation, batchSize, data, method } = config;
  const total = batchSize * accumulation;
  if (source.length < total) {
    const batch = accumulation === 1 ? `batchSize ${batchSize}` : `batchSize times accumulation, ${total}`;
    throw new UsageError(
      `${data.source}: ${counted(source.length, 'image')}, fewer than ${batch}; ` +
        'accepted: at least one batch',
    );
  }
  const { classes } = needsOf(config);
  if (classes === null) return;
  if (source.classes === null) {
    throw new UsageError(
      `${data.source}: the images have no labels, which method.kind "${method.kind}" trains with; ` +
        'accepted: a data set, or a folder with a folder a class',
    );
  }
  if (source.classes.length !== classes) {
    throw new UsageError(
      `${data.source}: ${source.classes.length} classes, and method.classes is ${classes}; ` +
        `accepted: method.classes=${source.classes.length}`,
    );
  }
}
