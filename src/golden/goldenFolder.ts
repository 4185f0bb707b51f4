import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { SlimclrError, UsageError } from '../errors.js';
import { replaceFile } from '../replaceFile.js';

/**
 * `index.json` of a folder of golden graphs; the text T of config C is the file `C/T.txt`, unless only hashes are
 * kept of the config.
 */
export interface GoldenIndex {
  readonly format: 'slimclr-golden-graphs';
  readonly version: 1;
  readonly configs: Readonly<Record<string, GoldenEntry>>;
}

export interface GoldenEntry {
  readonly target: string;
  readonly opset: number;
  /** `hashes`: the texts are not in the folder, so that a check can tell that one changed, not how. */
  readonly kept: 'texts' | 'hashes';
  /** SHA-256 of each text: `manifest`, and one a graph. */
  readonly texts: Readonly<Record<string, string>>;
}

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
  const path = join(folder, indexFile);
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`${folder}: no golden graphs (${indexFile} cannot be read)`, { cause });
  }
  let index: Partial<GoldenIndex>;
  try {
    index = JSON.parse(content) as Partial<GoldenIndex>;
  } catch (cause) {
    throw new SlimclrError(`${path}: not JSON`, { cause });
  }
  if (index.format !== 'slimclr-golden-graphs' || index.version !== 1) {
    throw new SlimclrError(
      `${path}: format ${index.format} version ${index.version}; accepted: slimclr-golden-graphs version 1`,
    );
  }
  const files = new Map<string, string>();
  for (const file of await textFiles(folder)) files.set(file, await readFile(join(folder, file), 'utf8'));
  return { index: index as GoldenIndex, files };
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
    if (await rewrite(join(folder, file), text)) written.push(file);
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

/** False when the file has this content already. */
async function rewrite(path: string, content: string): Promise<boolean> {
  const current = await readFile(path, 'utf8').catch(() => undefined);
  if (current === content) return false;
  await replaceFile(path, (partial) => writeFile(partial, content));
  return true;
}
