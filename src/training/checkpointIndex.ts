import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { monitorCriteria } from '../config/schema.js';
import { SlimclrError } from '../errors.js';
import { sha256File } from '../onnx/hash.js';
import { readSafetensorsHeader } from '../onnx/safetensors.js';
import { readJsonIfThere } from '../readJson.js';
import { removePartials, replaceFile } from '../replaceFile.js';

/*
 * Which checkpoints a run folder holds. The files are what counts; the index says in which order they were written
 * and what their SHA-256 was. One that is damaged or missing is made anew from the files.
 */

export interface CheckpointEntry {
  readonly path: string;
  readonly step: number;
  readonly epoch: number;
  readonly sha256: string;
}

const indexFile = 'index.json';
const fileName = /^step-\d{8,}\.safetensors$/;

const natural = z.int().nonnegative();
const entrySchema = z.object({
  file: z
    .string()
    .regex(fileName, 'the name of a checkpoint in the same folder, such as step-00000100.safetensors'),
  step: natural,
  epoch: natural,
  sha256: z.string().regex(/^[0-9a-f]{64}$/, 'a SHA-256 in hexadecimal'),
});
const bestSchema = z.object({
  step: natural,
  /** Which accuracy was compared, as `monitor.criterion` names it, and what it was, a share. */
  criterion: z.enum(monitorCriteria),
  accuracy: z.number(),
});
const indexSchema = z.object({
  format: z.literal('slimclr-checkpoints'),
  version: z.literal(1),
  /** The best one, which stays however old it is, and why; absent where none was measured. */
  best: bestSchema.exactOptional(),
  /** Oldest first. */
  checkpoints: z.array(entrySchema),
});

type Index = z.infer<typeof indexSchema>;
type IndexEntry = z.infer<typeof entrySchema>;
/** Which checkpoint is the best, by the steps done, and why. */
export type BestMark = Readonly<z.infer<typeof bestSchema>>;

/** Name of the file that holds the checkpoint after so many steps. */
export function checkpointFile(step: number): string {
  return `step-${String(step).padStart(8, '0')}.safetensors`;
}

/** Checkpoints of a folder, oldest first; empty when there is none. */
export async function readCheckpoints(folder: string): Promise<CheckpointEntry[]> {
  return (await indexOf(folder)).checkpoints.map(({ file, ...entry }) => ({
    path: join(folder, file),
    ...entry,
  }));
}

/** The SHA-256 that the index has of a file; undefined when it has none, or there is no index that can be read. */
export async function indexedHash(folder: string, file: string): Promise<string | undefined> {
  return (await readIndex(folder)).checkpoints.find((entry) => entry.file === file)?.sha256;
}

/** Which checkpoint of a folder is the best; null where none is, or it is not there any more. */
export async function readBestMark(folder: string): Promise<BestMark | null> {
  const { best } = await indexOf(folder);
  return best ?? null;
}

/**
 * Puts a checkpoint that was written last into the index and keeps the newest `keep` and the best; older files go, and
 * what processes that ended while writing have left. Only the process that trains writes in the folder.
 */
export async function addCheckpoint(folder: string, added: IndexEntry, keep: number): Promise<void> {
  const { best, checkpoints } = await indexOf(folder);
  const others = checkpoints.filter(({ file }) => file !== added.file);
  await writeIndex(folder, best, [...others, added], keep);
}

/** Makes a checkpoint the best, or none; the one before goes unless it is among the newest `keep`. */
export async function markBest(folder: string, best: BestMark | null, keep: number): Promise<void> {
  const { checkpoints } = await indexOf(folder);
  await writeIndex(folder, best ?? undefined, checkpoints, keep);
}

async function writeIndex(
  folder: string,
  best: BestMark | undefined,
  all: readonly IndexEntry[],
  keep: number,
): Promise<void> {
  const isKept = ({ step }: IndexEntry, i: number) => i >= all.length - keep || step === best?.step;
  const checkpoints = all.filter(isKept);
  const index = { format: 'slimclr-checkpoints', version: 1, ...(best && { best }), checkpoints };
  const text = `${JSON.stringify(index, null, 2)}\n`;
  await replaceFile(join(folder, indexFile), text, { durable: true });
  for (const { file } of all.filter((entry, i) => !isKept(entry, i)))
    await rm(join(folder, file), { force: true });
}

/** Removes what processes that ended while writing left in the folder. Only for the process that trains. */
export async function removeTornCheckpoints(folder: string): Promise<void> {
  await removePartials(folder);
  const names = await readdir(folder).catch((): string[] => []);
  // What earlier versions wrote aside.
  for (const name of names) {
    const whole = name.replace(/\.part$/, '');
    if (whole !== name && (whole === indexFile || fileName.test(whole)))
      await rm(join(folder, name), { force: true });
  }
}

/**
 * Those of the index whose files are there, in its order. A checkpoint that is not in it was written by a process that
 * ended before it could say so: it comes last if it has more steps than the last of the index, else first.
 */
async function indexOf(folder: string): Promise<Pick<Index, 'best' | 'checkpoints'>> {
  const names = (await readdir(folder).catch((): string[] => []))
    .filter((name) => fileName.test(name))
    .sort();
  const { best, checkpoints } = await readIndex(folder);
  const indexed = checkpoints.filter(({ file }) => names.includes(file));
  const last = indexed.at(-1)?.step ?? -1;
  const others: IndexEntry[] = [];
  for (const file of names) {
    if (indexed.some((entry) => entry.file === file)) continue;
    const entry = await describe(folder, file);
    if (entry) others.push(entry);
  }
  const all = [
    ...others.filter(({ step }) => step <= last),
    ...indexed,
    ...others.filter(({ step }) => step > last),
  ];
  return { checkpoints: all, ...(all.some(({ step }) => step === best?.step) && { best: best! }) };
}

/** The entry of a file; null when it is no checkpoint. */
async function describe(folder: string, file: string): Promise<IndexEntry | null> {
  const path = join(folder, file);
  try {
    const { step, epoch } = (await readSafetensorsHeader(path)).metadata;
    return entrySchema.parse({
      file,
      step: Number(step),
      epoch: Number(epoch),
      sha256: await sha256File(path),
    });
  } catch {
    return null;
  }
}

/** Empty when there is no index, or none that can be read. */
async function readIndex(folder: string): Promise<Pick<Index, 'best' | 'checkpoints'>> {
  try {
    return (await readJsonIfThere(join(folder, indexFile), indexSchema)) ?? { checkpoints: [] };
  } catch (error) {
    if (error instanceof SlimclrError) return { checkpoints: [] };
    throw error;
  }
}
