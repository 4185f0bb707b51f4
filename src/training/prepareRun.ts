import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { formatConfig } from '../config/format.js';
import { continuedSchema } from '../config/optimization.js';
import type { Config } from '../config/schema.js';
import { counted } from '../counted.js';
import { withAbsolutePaths } from '../data/absolutePaths.js';
import { pixelNotices } from '../data/pixelCheck.js';
import { batchesPerEpoch, epochLength } from '../data/batchOrder.js';
import type { ImageSource } from '../data/source.js';
import { openTrainingImages } from '../data/trainingImages.js';
import { replicaOptions } from '../engines/engineOptions.js';
import { openEngine } from '../engines/openEngine.js';
import { UsageError } from '../errors.js';
import { buildPrograms, needsOf } from '../methods/index.js';
import type { Weights } from '../programs/bindWeights.js';
import { readSafetensors } from '../onnx/safetensors.js';
import { replaceFile } from '../replaceFile.js';
import { recordFile, readTargetRecord, targetOf, writeTargetRecord } from '../tuning/targetRecord.js';
import {
  checkpointFolder,
  checkpointPath,
  DamagedCheckpoint,
  listCheckpoints,
  readCheckpoint,
  type SavedCheckpoint,
} from './checkpoint.js';
import { removeTornCheckpoints } from './checkpointIndex.js';
import { continuedConfig } from './continuedSchedule.js';
import { checkModel, keepModel } from './modelCopy.js';
import { checkResumable, machineNotice } from './resume.js';
import { checkRunFolder } from './runFolder.js';
import { DeclinedLayers, runTarget } from './runTarget.js';
import { setAsideLog } from './setAsideLog.js';
import { TrainingState } from './state.js';
import type { PreparedRun } from './trainingLoop.js';

export interface RunOptions {
  readonly config: Config;
  /** Created if need be: config.json, tuning.json, programs/, events.jsonl, checkpoints/. */
  readonly runFolder: string;
  /**
   * Go on from the newest checkpoint of the run folder, or from one that is named by its path, or from the `best`. `auto`: from the newest that
   * is whole, or begin where there is none. With other `epochs` or another `schedule` it has them from there on.
   */
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
  /** What this process is to run on of what all of those that train together do; default: all of it. */
  readonly runtimeOf?: (runtime: Config['runtime']) => Config['runtime'];
}

/** What a run begins with, as its config says (`init`). */
export interface InitialWeights {
  /** By name; what is not there is drawn. */
  readonly weights: Weights;
  /** The config with the identity of the file. */
  readonly config: Config;
  /** What was taken, what was not and what is drawn; null where all is drawn. */
  readonly line: string | null;
}

/**
 * Checks what a run needs and writes its folder: config, programs and what they are lowered for. `initialize` reads the
 * weights that the config names. Whatever is wrong with
 * the images or the checkpoint is said before anything is written. Throws a UsageError for a run folder that already
 * holds a run (unless it is resumed) or something else, for a checkpoint of another config and for fewer images than a batch has.
 */
export async function prepareRun(
  { config: asked, runFolder, resume = false, cacheDirectory, profile = false }: RunOptions,
  { onProgress, onNotice, signal, runtimeOf = (runtime) => runtime }: RunReport,
  initialize?: (config: Config) => Promise<InitialWeights>,
): Promise<PreparedRun> {
  let config = withAbsolutePaths(asked);
  const { seed } = config;
  const { models } = needsOf(config);
  if (resume === false && (await listCheckpoints(runFolder)).length > 0) {
    throw new UsageError(
      `${runFolder} already holds a run; --resume continues it, another --output starts a new one`,
    );
  }
  const checkpoints = await checkpointsOf(runFolder, resume);
  if (checkpoints.length === 0) await checkRunFolder(runFolder);
  if (checkpoints.length === 0) for (const model of models) await checkModel(model);
  const cache = { ...(cacheDirectory !== undefined && { cacheDirectory }) };
  const source = await openTrainingImages(config, {
    onProgress,
    ...(signal && { signal }),
    ...cache,
  });
  checkImages(config, source);
  for (const notice of [...source.notices, ...(await pixelNotices(source, signal))]) onNotice(notice);
  const saved = checkpoints.length === 0 ? null : await readNewest(checkpoints, onNotice);
  if (saved) {
    checkResumable(saved.path, saved, config, source);
    const { sha256 } = saved.config.init;
    const given = { ...config, init: { ...config.init, sha256 } };
    const continued = continuedConfig(saved, given, batchesPerEpoch(epochLength(source), config.batchSize));
    ({ config } = continued);
    for (const notice of [machineNotice(saved.config, config), continued.notice]) {
      if (notice) onNotice(notice);
    }
  } else {
    // That of a run whose config this one was given.
    config = { ...config, continued: continuedSchema.parse({}) };
  }
  signal?.throwIfAborted();
  // A run that goes on has what has become of them.
  let weights: Weights | undefined = saved?.tensors;
  if (config.init.file === '') weights = undefined;
  else if (!saved) {
    onProgress(`reading ${config.init.file}`);
    const initial = await initialize!(config);
    ({ config, weights } = initial);
    if (initial.line !== null) onNotice(initial.line);
  }
  signal?.throwIfAborted();
  const runtime = runtimeOf(config.runtime);
  const record = await runTarget(
    { ...config, runtime },
    {
      recorded: saved ? await readTargetRecord(join(runFolder, recordFile)) : null,
      cacheDirectory,
      onProgress,
      onNotice,
    },
  );
  signal?.throwIfAborted();
  const programs = join(runFolder, 'programs');
  const declined = new DeclinedLayers();
  const target = targetOf(record, (graph, node) => declined.add(graph, node));
  await mkdir(runFolder, { recursive: true });
  await removeTornCheckpoints(checkpointFolder(runFolder));
  // A run that ended before its first checkpoint has left nothing to go on from: its log is of another one.
  if (!saved) await setAsideLog(runFolder);
  const manifest = await buildPrograms(config, programs, target, weights);
  for (const model of models) await keepModel(model, programs, { isNew: saved === null });
  await writeTargetRecord(join(runFolder, recordFile), record);
  if (declined.notice) onNotice(declined.notice);
  await replaceFile(join(runFolder, 'config.json'), formatConfig(config), { durable: true });
  const engine = await openEngine(replicaOptions(runtime));
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

/** Paths of the checkpoints to go on from, the first that can be read; none for a run that begins. */
async function checkpointsOf(
  runFolder: string,
  resume: NonNullable<RunOptions['resume']>,
): Promise<string[]> {
  if (resume === false) return [];
  if (resume === 'auto') return (await listCheckpoints(runFolder)).map(({ path }) => path).reverse();
  return [await checkpointPath(runFolder, resume === true ? undefined : resume)];
}

/** The first of some checkpoints that is whole; of those before it a notice. Throws what the first is damaged by where none is. */
async function readNewest(
  paths: readonly string[],
  onNotice: (message: string) => void,
): Promise<SavedCheckpoint & { readonly path: string }> {
  const failures: DamagedCheckpoint[] = [];
  for (const path of paths) {
    try {
      const saved = await readCheckpoint(path);
      for (const { problem } of failures) onNotice(`${problem}; going on from ${path}`);
      return { ...saved, path };
    } catch (error) {
      if (!(error instanceof DamagedCheckpoint)) throw error;
      failures.push(error);
    }
  }
  throw failures[0]!;
}

/** Throws a UsageError when the images do not fill a batch or lack the labels that the method trains with. */
function checkImages(config: Config, source: ImageSource): void {
  const { accumulation, batchSize, data, method } = config;
  const total = batchSize * accumulation;
  const images = epochLength(source);
  if (images < total) {
    const batch = accumulation === 1 ? `batchSize ${batchSize}` : `batchSize times accumulation, ${total}`;
    throw new UsageError(
      `${data.source}: ${counted(images, 'image')}${source.weights ? ' an epoch' : ''}, fewer than ${batch}; ` +
        'accepted: at least one batch',
    );
  }
  const { classes } = needsOf(config);
  if (classes === null) return;
  if (source.classes === null) {
    throw new UsageError(
      `${data.source}: the images have no labels, which method.kind "${method.kind}" trains with; ` +
        'accepted: a data set, a folder with a folder a class, or a label file (data.labels)',
    );
  }
  if (source.classes.length !== classes) {
    throw new UsageError(
      `${data.source}: ${source.classes.length} classes, and method.classes is ${classes}; ` +
        `accepted: method.classes=${source.classes.length}`,
    );
  }
}
