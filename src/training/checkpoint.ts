import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Config } from '../config/schema.js';
import { SlimclrError, UsageError } from '../errors.js';
import { sha256File } from '../onnx/hash.js';
import { encodeSafetensors, readSafetensors, type TensorData } from '../onnx/safetensors.js';
import { version } from '../version.js';

/** What a checkpoint says about itself, beside its tensors. */
export interface CheckpointInfo {
  readonly config: Config;
  /** Epochs completed; the run may be inside the next one. */
  readonly epoch: number;
  /** Steps done. */
  readonly step: number;
  /** Identity of the training images (`ImageSource.fingerprint`). */
  readonly fingerprint: string;
}

export interface Checkpoint extends CheckpointInfo {
  /** `TrainingState.tensors`: query parameters and statistics by manifest name, `key.*`, `velocity.*`, `queue`. */
  readonly tensors: ReadonlyMap<string, TensorData>;
}

export interface CheckpointEntry {
  readonly path: string;
  readonly step: number;
  readonly epoch: number;
  readonly sha256: string;
}

interface Index {
  readonly format: 'slimclr-checkpoints';
  readonly version: 1;
  /** Oldest first. */
  readonly checkpoints: readonly (Omit<CheckpointEntry, 'path'> & { readonly file: string })[];
}

const indexFile = 'index.json';
const format = 'slimclr-checkpoint';

export function checkpointFolder(runFolder: string): string {
  return join(runFolder, 'checkpoints');
}

/**
 * Writes a checkpoint and keeps the newest `keep`. The file is complete on disk under its name, or not there at
 * all: it is written aside, synced, and renamed; the index follows the same way; only then older files go.
 * Throws a SlimclrError when the disk is full or fails; earlier checkpoints stay as they were.
 */
export async function writeCheckpoint(
  runFolder: string,
  { config, epoch, step, fingerprint, tensors }: Checkpoint,
  keep: number,
): Promise<CheckpointEntry> {
  const folder = checkpointFolder(runFolder);
  const file = `step-${String(step).padStart(8, '0')}.safetensors`;
  const path = join(folder, file);
  const hash = createHash('sha256');
  const metadata = {
    format,
    version: '1',
    generator: version,
    config: JSON.stringify(config),
    epoch: String(epoch),
    step: String(step),
    fingerprint,
  };
  try {
    await mkdir(folder, { recursive: true });
    const index = await readIndex(folder);
    await writeAtomically(path, function* () {
      for (const chunk of encodeSafetensors(tensors, metadata)) {
        hash.update(chunk);
        yield chunk;
      }
    });
    const entry = { file, step, epoch, sha256: hash.digest('hex') };
    const all = [...index.filter((other) => other.file !== file), entry];
    const kept = all.slice(-keep);
    await writeIndex(folder, kept);
    for (const old of all.slice(0, -keep)) await rm(join(folder, old.file), { force: true });
    return { path, step, epoch, sha256: entry.sha256 };
  } catch (cause) {
    if (cause instanceof SlimclrError) throw cause;
    throw new SlimclrError(
      `checkpoint ${path} could not be written: ${(cause as Error).message}; earlier checkpoints are kept`,
      { cause },
    );
  }
}

/** Checkpoints of a run, oldest first; empty when there is none. */
export async function listCheckpoints(runFolder: string): Promise<CheckpointEntry[]> {
  const folder = checkpointFolder(runFolder);
  return (await readIndex(folder)).map(({ file, ...entry }) => ({ path: join(folder, file), ...entry }));
}

/** The newest checkpoint of a run. Throws a UsageError when the run has none. */
export async function latestCheckpoint(runFolder: string): Promise<CheckpointEntry> {
  const newest = (await listCheckpoints(runFolder)).at(-1);
  if (!newest)
    throw new UsageError(`${runFolder}: no checkpoint; a run folder of \`slimclr pretrain\` is accepted`);
  return newest;
}

/**
 * Reads and verifies a checkpoint. Throws a SlimclrError, one line, when the file is missing, truncated, changed
 * since it was written, or something else.
 */
export async function readCheckpoint(path: string): Promise<Checkpoint> {
  if (!existsSync(path)) throw new UsageError(`${path}: no such checkpoint`);
  const entry = (await readIndex(dirname(path))).find(({ file }) => file === basename(path));
  if (entry && (await sha256File(path)) !== entry.sha256) {
    throw new SlimclrError(
      `${path}: the checkpoint is damaged (its SHA-256 is not the recorded ${entry.sha256.slice(0, 12)}...); ` +
        `an earlier one of ${dirname(path)} can be named instead`,
    );
  }
  const { metadata, tensors } = await readSafetensors(path);
  if (metadata.format !== format || metadata.version !== '1') {
    throw new SlimclrError(
      `${path}: format ${metadata.format} version ${metadata.version}; accepted: ${format} version 1`,
    );
  }
  return {
    config: JSON.parse(metadata.config!) as Config,
    epoch: Number(metadata.epoch),
    step: Number(metadata.step),
    fingerprint: metadata.fingerprint!,
    tensors,
  };
}

/** Writes a file so that its path holds the old content or the new one, never a part. */
async function writeAtomically(path: string, chunks: () => Iterable<Uint8Array>): Promise<void> {
  const aside = `${path}.part`;
  try {
    const file = await open(aside, 'w');
    try {
      for (const chunk of chunks()) await writeAll(file, chunk);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(aside, path);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
  // The rename itself is durable only when the folder is.
  const folder = await open(dirname(path), 'r');
  await folder.sync().finally(() => folder.close());
}

/** One write may take only a part, as it does when the disk fills up. */
async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let done = 0;
  while (done < chunk.length) done += (await file.write(chunk, done)).bytesWritten;
}

async function readIndex(folder: string): Promise<Index['checkpoints']> {
  const path = join(folder, indexFile);
  if (!existsSync(path)) return [];
  try {
    const index = JSON.parse(await readFile(path, 'utf8')) as Partial<Index>;
    if (index.format !== 'slimclr-checkpoints' || index.version !== 1 || !index.checkpoints) {
      throw new Error(
        `format ${index.format} version ${index.version}; accepted: slimclr-checkpoints version 1`,
      );
    }
    return index.checkpoints;
  } catch (cause) {
    throw new SlimclrError(`${path}: no index of checkpoints: ${(cause as Error).message}`, { cause });
  }
}

async function writeIndex(folder: string, checkpoints: Index['checkpoints']): Promise<void> {
  const index: Index = { format: 'slimclr-checkpoints', version: 1, checkpoints };
  await writeAtomically(join(folder, indexFile), () => [Buffer.from(`${JSON.stringify(index, null, 2)}\n`)]);
}
