import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Config } from '../config/schema.js';
import { openTrainingImages } from '../data/trainingImages.js';
import { replicaOptions } from '../engines/engineOptions.js';
import { openEngine } from '../engines/openEngine.js';
import { SlimclrError } from '../errors.js';
import type { TensorData } from '../onnx/safetensors.js';
import { readManifest } from '../programs/readManifest.js';
import { recordFile, readTargetRecord, type TargetRecord } from '../tuning/targetRecord.js';
import type { Ranks } from './ranks.js';
import { runsHere } from './runTarget.js';
import { TrainingState } from './state.js';
import type { PreparedRun } from './trainingLoop.js';

/*
 * What rank 0 has prepared goes to the others over the group: they need no folder of the run, only the images.
 */

/** What the others are told of a run. */
interface SharedRun {
  readonly config: Config;
  /** What the programs are lowered for. */
  readonly record: TargetRecord;
  /** Files of the program folder, which follow in this order. */
  readonly files: readonly { readonly name: string; readonly bytes: number }[];
  /** Steps done. */
  readonly step: number;
  readonly lossScale: TensorData | undefined;
}

/** What every rank has found by itself, and has to be the same. */
interface Found {
  /** Fingerprint of the images. */
  readonly images: string;
  readonly onnxruntime: string;
}

/** On rank 0: announces the config of the run that it goes on to prepare, so that the others open the images. */
export async function announceRun(ranks: Ranks, config: Config): Promise<void> {
  await ranks.group.gather<Config | null>(config);
}

/** On rank 0: gives the others the run that it has prepared. */
export async function shareRun(ranks: Ranks, run: PreparedRun): Promise<PreparedRun> {
  const { group } = ranks;
  const { config, programs, manifest, runFolder, source, state } = run;
  const entries = await readdir(programs, { recursive: true, withFileTypes: true });
  const names = entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(programs.length + 1))
    // Those are in the state.
    .filter((name) => name !== manifest.weights)
    .sort();
  const contents = await Promise.all(names.map((name) => readFile(join(programs, name))));
  const record = (await readTargetRecord(join(runFolder, recordFile)))!;
  await group.gather<SharedRun | null>({
    config,
    record,
    files: names.map((name, i) => ({ name, bytes: contents[i]!.length })),
    step: state.step,
    lossScale: state.lossScale?.tensor(),
  });
  for (const content of contents) await group.broadcast(content);
  await compare(ranks, config, { images: source.fingerprint, onnxruntime: state.engine.facts.version });
  for (const arena of state.arenas) await group.broadcast((await arena.readAll()).slice());
  return { ...run, group };
}

export interface ReceiveOptions {
  /** Where the programs are written, which need not outlive the opening of the steps. */
  readonly folder: string;
  readonly cacheDirectory?: string | undefined;
  readonly signal: AbortSignal;
}

/** On another rank: the run as rank 0 has prepared it, on the images as this rank finds them. */
export async function receiveRun(
  ranks: Ranks,
  { folder, cacheDirectory, signal }: ReceiveOptions,
): Promise<PreparedRun> {
  const { group } = ranks;
  const cache = { ...(cacheDirectory !== undefined && { cacheDirectory }) };
  const [announced] = await group.gather<Config | null>(null);
  const source = await openTrainingImages(announced!, { signal, ...cache });
  const [shared] = await group.gather<SharedRun | null>(null);
  const { config, record, files, step, lossScale } = shared!;
  for (const { name, bytes } of files) {
    const content = Buffer.alloc(bytes);
    await group.broadcast(content);
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  const runtime = ranks.runtimeOf(config.runtime);
  if (!(await runsHere(record, runtime))) {
    throw new SlimclrError(
      'its processor or ONNX Runtime has not the kernels that rank 0 has prepared the run for; ' +
        'accepted: machines of one kind, or runtime.target=portable',
    );
  }
  const manifest = await readManifest(folder);
  const engine = await openEngine(replicaOptions(runtime));
  try {
    const state = new TrainingState(engine, manifest, config);
    await compare(ranks, config, { images: source.fingerprint, onnxruntime: engine.facts.version });
    for (const arena of state.arenas) {
      const values = new Float32Array(arena.length);
      await group.broadcast(values);
      await arena.writeAll(values);
    }
    state.lossScale?.load(lossScale);
    state.step = step;
    return { config, programs: folder, manifest, runFolder: folder, source, state, group, ...cache };
  } catch (error) {
    await engine.close();
    throw error;
  }
}

/** Throws a SlimclrError where a rank has found something else than rank 0. */
async function compare(ranks: Ranks, { data }: Config, own: Found): Promise<void> {
  const all = await ranks.group.gather(own);
  ranks.refuseDifference(
    'ONNX Runtime',
    all.map(({ onnxruntime }) => onnxruntime),
  );
  ranks.refuseDifference(
    `in ${data.source} the images`,
    all.map(({ images }) => `${images.slice(0, 12)}...`),
  );
}
