import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, type FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { recordedConfigSchema } from '../config/recorded.js';
import type { Config } from '../config/schema.js';
import { SlimclrError, UsageError } from '../errors.js';
import {
  encodeSafetensors,
  readSafetensors,
  readSafetensorsHeader,
  type TensorData,
} from '../onnx/safetensors.js';
import { checkJson, parseJson } from '../readJson.js';
import { replaceFile } from '../replaceFile.js';
import { version } from '../version.js';
import {
  addCheckpoint,
  checkpointFile,
  indexedHash,
  readBestMark,
  readCheckpoints,
  type BestMark,
  type CheckpointEntry,
} from './checkpointIndex.js';

export type { BestMark, CheckpointEntry } from './checkpointIndex.js';

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

/** A checkpoint as it was read. */
export interface SavedCheckpoint extends Checkpoint {
  /** SHA-256 of the file, hexadecimal. */
  readonly sha256: string;
}

/** A checkpoint whose file is not what was written. */
export class DamagedCheckpoint extends SlimclrError {
  override name = 'DamagedCheckpoint';
  /** What is wrong with it, in one line that names it. */
  readonly problem: string;

  constructor(path: string, reason: string, options?: ErrorOptions) {
    const problem = `${path}: the checkpoint is damaged${reason}`;
    super(`${problem}; another one of ${dirname(path)} can be named instead`, options);
    this.problem = problem;
  }
}

/** How a checkpoint calls its format in its metadata. */
export const checkpointFormat = 'slimclr-checkpoint';

/** Stands for the checksum in the bytes that it is computed of. */
const noChecksum = '0'.repeat(64);

const count = z
  .string()
  .regex(/^\d{1,15}$/, 'a number of digits')
  .transform(Number);
const metadataSchema = z.object({
  /** SHA-256 of the file with zeros in its place; those of earlier versions have none. */
  checksum: z.string().optional(),
  config: z.string(),
  epoch: count,
  step: count,
  fingerprint: z.string(),
});

export function checkpointFolder(runFolder: string): string {
  return join(runFolder, 'checkpoints');
}

/**
 * Writes a checkpoint and keeps the newest `keep` and the best. The file is complete on disk under its name, or not there at
 * all: it is written aside, synced, and renamed; the index follows the same way; only then older files go.
 * Throws a SlimclrError when the disk is full or fails; earlier checkpoints stay as they were.
 */
export async function writeCheckpoint(
  runFolder: string,
  { config, epoch, step, fingerprint, tensors }: Checkpoint,
  keep: number,
): Promise<CheckpointEntry> {
  const folder = checkpointFolder(runFolder);
  const file = checkpointFile(step);
  const path = join(folder, file);
  const bytesWith = (checksum: string) =>
    encodeSafetensors(tensors, {
      // The first, so that nothing before it can look like it.
      checksum,
      format: checkpointFormat,
      version: '1',
      generator: version,
      config: JSON.stringify(config),
      epoch: String(epoch),
      step: String(step),
      fingerprint,
    });
  try {
    await mkdir(folder, { recursive: true });
    const content = createHash('sha256');
    for (const chunk of bytesWith(noChecksum)) content.update(chunk);
    const whole = createHash('sha256');
    const write = async (partial: string) => {
      const handle = await open(partial, 'w');
      try {
        for (const chunk of bytesWith(content.digest('hex'))) {
          whole.update(chunk);
          await writeAll(handle, chunk);
        }
      } finally {
        await handle.close();
      }
    };
    await replaceFile(path, write, { durable: true });
    const sha256 = whole.digest('hex');
    await addCheckpoint(folder, { file, step, epoch, sha256 }, keep);
    return { path, step, epoch, sha256 };
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
  return readCheckpoints(checkpointFolder(runFolder));
}

/** The newest checkpoint of a run. Throws a UsageError when the run has none. */
export async function latestCheckpoint(runFolder: string): Promise<CheckpointEntry> {
  const newest = (await listCheckpoints(runFolder)).at(-1);
  if (!newest)
    throw new UsageError(`${runFolder}: no checkpoint; a run folder of \`slimclr pretrain\` is accepted`);
  return newest;
}

/** The best checkpoint of a run by its monitor, and why it is. Throws a UsageError when the run has none. */
export async function bestCheckpoint(runFolder: string): Promise<CheckpointEntry & BestMark> {
  const folder = checkpointFolder(runFolder);
  const best = await readBestMark(folder);
  const entry = (await readCheckpoints(folder)).find(({ step }) => step === best?.step);
  if (best && entry) return { ...entry, ...best };
  throw new UsageError(
    `${runFolder}: no checkpoint is known as the best; accepted: a run with a monitor (monitor.kind=knn) and ` +
      'checkpoint.keepBest, or the path of a checkpoint',
  );
}

/**
 * Path of the checkpoint of a run that is meant: `best` is the best by its monitor, anything else a path; not given,
 * the newest. Throws a UsageError when the run has none such.
 */
export async function checkpointPath(runFolder: string, named?: string): Promise<string> {
  if (named === undefined) return (await latestCheckpoint(runFolder)).path;
  return named === 'best' ? (await bestCheckpoint(runFolder)).path : named;
}

/**
 * Reads and verifies a checkpoint, wherever it lies. Throws a SlimclrError, one line, when the file is missing or something
 * else, a DamagedCheckpoint when it is truncated or has changed since it was written.
 */
export async function readCheckpoint(path: string): Promise<SavedCheckpoint> {
  if (!existsSync(path)) throw new UsageError(`${path}: no such checkpoint`);
  const hash = createHash('sha256');
  const whole = createHash('sha256');
  let isHeader = true;
  const { metadata, tensors } = await readSafetensors(path, (bytes) => {
    hash.update(isHeader ? withoutChecksum(bytes) : bytes);
    whole.update(bytes);
    isHeader = false;
  }).catch((cause: Error) => {
    throw new DamagedCheckpoint(path, `, or none (${cause.message})`, { cause });
  });
  const { checksum } = metadata;
  const sha256 = whole.digest('hex');
  if (checksum === undefined) {
    const recorded = await indexedHash(dirname(path), basename(path));
    if (recorded !== undefined && sha256 !== recorded) throw damaged(path, recorded);
  } else if (hash.digest('hex') !== checksum) {
    throw damaged(path, checksum);
  }
  return { ...parseInfo(path, metadata), tensors, sha256 };
}

/** What a checkpoint says about itself. The tensors are not read and not verified. */
export async function readCheckpointInfo(path: string): Promise<CheckpointInfo> {
  if (!existsSync(path)) throw new UsageError(`${path}: no such checkpoint`);
  return parseInfo(path, (await readSafetensorsHeader(path)).metadata);
}

function parseInfo(path: string, metadata: Readonly<Record<string, string>>): CheckpointInfo {
  if (metadata.format !== checkpointFormat || metadata.version !== '1') {
    throw new SlimclrError(
      `${path}: format ${metadata.format} version ${metadata.version}; accepted: ${checkpointFormat} version 1`,
    );
  }
  const { config, epoch, step, fingerprint } = checkJson(metadata, metadataSchema, path);
  return { config: parseJson(config, recordedConfigSchema, `${path}: config`), epoch, step, fingerprint };
}

function damaged(path: string, recorded: string): DamagedCheckpoint {
  return new DamagedCheckpoint(path, ` (its SHA-256 is not the recorded ${recorded.slice(0, 12)}...)`);
}

/** The header of a file with zeros for its checksum. */
function withoutChecksum(header: Uint8Array): Uint8Array {
  const bytes = Buffer.from(header);
  const key = '"checksum":"';
  const at = bytes.indexOf(key);
  return at === -1 ? bytes : bytes.fill('0', at + key.length, at + key.length + noChecksum.length);
}

/** One write may take only a part, as it does when the disk fills up. */
async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  let done = 0;
  while (done < chunk.length) done += (await file.write(chunk, done)).bytesWritten;
}
