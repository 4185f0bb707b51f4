import { existsSync } from 'node:fs';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { formatConfig } from '../config/format.js';
import type { Config } from '../config/schema.js';
import { withAbsoluteSources } from '../data/absoluteSource.js';
import { pixelNotices } from '../data/pixelCheck.js';
import { openSource, type ImageSource } from '../data/source.js';
import { UsageError } from '../errors.js';
import { buildPrograms } from '../methods/index.js';
import { latestCheckpoint, listCheckpoints, readCheckpoint } from './checkpoint.js';
import { recordFile, readTargetRecord, targetOf, writeTargetRecord } from '../tuning/targetRecord.js';
import { checkResumable, threadsNotice } from './resume.js';
import { replaceFile } from '../replaceFile.js';
import { DeclinedLayers, runTarget } from './runTarget.js';
import { teacherFile } from './steps/openMethodStep.js';
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
  { config: given, runFolder, resume = false, cacheDirectory, profile = false }: RunOptions,
  { onProgress, onNotice }: RunReport,
): Promise<LoopOptions> {
  const config = withAbsoluteSources(given);
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
  checkImages(config, source);
  for (const notice of [...source.notices, ...(await pixelNotices(source))]) onNotice(notice);
  if (checkpoint !== undefined) {
    const saved = await readCheckpoint(checkpoint);
    checkResumable(checkpoint, saved, config, source);
    const notice = threadsNotice(saved.config, config);
    if (notice !== undefined) onNotice(notice);
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
  if (config.method.kind === 'seed') await keepTeacher(config.method.teacher, programs);
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

/** Throws a UsageError when the images do not fill a batch or lack the labels that the method trains with. */
function checkImages({ accumulation, batchSize, data, method }: Config, source: ImageSource): void {
  const total = batchSize * accumulation;
  if (source.length < total) {
    const batch = accumulation === 1 ? `batchSize ${batchSize}` : `batchSize times accumulation, ${total}`;
    throw new UsageError(
      `${data.source}: ${source.length} image${source.length === 1 ? '' : 's'}, fewer than ${batch}; ` +
        'accepted: at least one batch',
    );
  }
  if (method.kind !== 'supervised') return;
  if (source.classes === null) {
    throw new UsageError(
      `${data.source}: the images have no labels, which method.kind "supervised" trains with; ` +
        'accepted: a data set, or a folder with a folder a class',
    );
  }
  if (source.classes.length !== method.classes) {
    throw new UsageError(
      `${data.source}: ${source.classes.length} classes, and method.classes is ${method.classes}; ` +
        `accepted: method.classes=${source.classes.length}`,
    );
  }
}

/** Copies the teacher into the program folder, unless the run has its copy already. */
async function keepTeacher(path: string, programs: string): Promise<void> {
  const kept = join(programs, teacherFile);
  if (existsSync(kept)) return;
  if (!existsSync(path)) {
    throw new UsageError(`method.teacher ${path} does not exist; accepted: the path of an ONNX file`);
  }
  await replaceFile(kept, (partial) => copyFile(path, partial));
}
