import { mkdir, readdir, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { z } from 'zod';
import { UsageError } from '../errors.js';
import { readPlainFile } from '../plainFile.js';
import { readJsonIfThere, sha256Schema, type Json } from '../readJson.js';
import { rewriteFile } from '../replaceFile.js';

const entrySchema = z.object({
  target: z.string(),
  opset: z.int(),
  /** `hashes`: the texts are not in the folder, so that a check can tell that one changed, not how. */
  kept: z.enum(['texts', 'hashes']),
  /** SHA-256 of each text: `manifest`, and one a graph. */
  texts: z.record(z.string(), sha256Schema),
});

/**
 * `index.json` of a folder of golden graphs; the text T of config C is the file `C/T.txt`, unless only hashes are
 * kept of the config.
 */
const indexSchema = z.object({
  format: z.literal('slimclr-golden-graphs'),
  version: z.literal(1),
  configs: z.record(z.string(), entrySchema),
});
export type GoldenIndex = Json<typeof indexSchema>;
export type GoldenEntry = Json<typeof entrySchema>;

export interface GoldenFolder {
  readonly index: GoldenIndex;
  /** The texts that are there, by path, whether the index names them or not. */
  readonly files: ReadonlyMap<string, string>;
}

const indexFile = 'index.json';

/** Path of a text, relative to the folder, with `/`. */
export function textPath(config: string, text: string): string {
  return `${config}/${text}.txt`;
}

/** Throws a UsageError for a folder without an index, a SlimclrError for an index of another format. */
export async function readGoldenFolder(folder: string): Promise<GoldenFolder> {
  const index = await readJsonIfThere(join(folder, indexFile), indexSchema);
  if (!index) throw new UsageError(`${folder}: no golden graphs (it holds no ${indexFile})`);
  const files = new Map<string, string>();
  for (const file of await textFiles(folder))
    files.set(file, String(await readPlainFile(join(folder, file))));
  return { index, files };
}

/**
 * Makes the folder hold these texts and no others; files that are no texts stay. Each file is complete or as it
 * was, and the index comes last: after an interruption it does not fit the texts, which a check reports.
 * Returns the paths written and removed. Throws a UsageError for a folder that holds something else.
 */
export async function writeGoldenFolder(
  folder: string,
  { index, files }: GoldenFolder,
): Promise<{ written: string[]; removed: string[] }> {
  await mkdir(folder, { recursive: true });
  const visible = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  if (visible.length > 0 && !visible.includes(indexFile)) {
    throw new UsageError(`${folder}: holds no golden graphs but other files; accepted: an empty folder`);
  }
  const written: string[] = [];
  for (const [file, text] of [...files, [indexFile, `${JSON.stringify(index, null, 2)}\n`] as const]) {
    if (await rewriteFile(join(folder, file), text)) written.push(file);
  }
  const removed = (await textFiles(folder)).filter((file) => !files.has(file));
  for (const file of removed) await rm(join(folder, file));
  return { written, removed };
}

/** Paths of what looks like a text, sorted. */
async function textFiles(folder: string): Promise<string[]> {
  const paths = await readdir(folder, { recursive: true });
  return paths
    .map((path) => path.split(sep).join('/'))
    .filter((path) => /^[^/]+\/[^/]+\.txt$/.test(path))
    .sort();
}
