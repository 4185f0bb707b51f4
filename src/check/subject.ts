import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import type { Config } from '../config/schema.js';
import { SlimclrError, UsageError } from '../errors.js';
import { manifestFile, readExportManifest } from '../export/manifest.js';
import { externalFiles } from '../onnx/externalFiles.js';
import { sha256 } from '../onnx/hash.js';
import { structureOf, type ModelStructure } from '../onnx/structure.js';
import { openPlainFile } from '../plainFile.js';
import { listCheckpoints, readCheckpointInfo } from '../training/checkpoint.js';

/** A file of a model, beside which its external data are. */
export interface ModelFile {
  /** Plain name of the file. */
  readonly name: string;
  readonly path: string;
}

/** A model that was opened to be looked at. */
export interface OpenedModel extends ModelFile {
  readonly content: Uint8Array;
  readonly sha256: string;
  readonly structure: ModelStructure;
  /** Paths of its external data, relative to its folder. */
  readonly external: readonly string[];
  /** Of the file and its external data. */
  readonly bytes: number;
}

/**
 * The models that a path stands for: the file of one; those of a folder of exports, by its manifest if it has one; the
 * exports of a run. Throws a UsageError for a path that has none.
 */
export async function modelsAt(
  path: string,
  otherwise = 'an ONNX model, a folder of them, or a run with exported models',
): Promise<ModelFile[]> {
  const accepted = `accepted: ${otherwise}`;
  const found = await stat(path).catch(() => null);
  if (!found) throw new UsageError(`${path}: does not exist; ${accepted}`);
  if (found.isFile()) return [{ name: basename(path), path }];
  for (const folder of [path, join(path, 'export')]) {
    const names = await modelNames(folder);
    if (names.length > 0) return names.map((name) => ({ name, path: join(folder, name) }));
  }
  throw new UsageError(`${path}: holds no ONNX models; ${accepted}`);
}

async function modelNames(folder: string): Promise<string[]> {
  const files = await readdir(folder).catch((): string[] => []);
  const models = files.filter((file) => file.endsWith('.onnx')).sort();
  if (!files.includes(manifestFile) || models.length === 0) return models;
  return (await readExportManifest(folder)).models.map(({ file }) => file).sort();
}

/** Reads a model. Throws a SlimclrError, one line, for a file that is none and for external data that are not there. */
export async function openModel({ name, path }: ModelFile): Promise<OpenedModel> {
  const file = await openPlainFile(path).catch((cause: Error) => {
    if (cause instanceof SlimclrError) throw cause;
    throw new SlimclrError(`${path} cannot be read (${cause.message})`, { cause });
  });
  const content = new Uint8Array(await file.readFile().finally(() => file.close()));
  const structure = structureOf(content, path);
  const external = externalFiles(content);
  let bytes = content.length;
  for (const location of external) {
    if (/^[/\\]|^[A-Za-z]:|(^|[/\\])\.\.([/\\]|$)|\p{Cc}/u.test(location) || location === '') {
      throw new SlimclrError(
        `${path}: external data in ${JSON.stringify(location)}; accepted: a path within the model's folder`,
      );
    }
    const found = await stat(join(dirname(path), location)).catch(() => null);
    if (!found?.isFile()) throw new SlimclrError(`${path}: its external data ${location} are not there`);
    bytes += found.size;
  }
  return { name, path, content, sha256: sha256(content), structure, external, bytes };
}

/** The config of the run that a path is, or that a folder of exports lies in; undefined where there is none. */
export async function runConfigAt(path: string): Promise<Config | undefined> {
  for (const folder of [path, dirname(resolve(path))]) {
    const newest = (await listCheckpoints(folder).catch(() => [])).at(-1);
    if (newest) return (await readCheckpointInfo(newest.path)).config;
  }
  return undefined;
}
