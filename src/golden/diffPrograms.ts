import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { UsageError } from '../errors.js';
import { decodeModel } from '../onnx/model.js';
import { modelText } from '../onnx/text.js';
import { readNamedFile, readPlainFile } from '../plainFile.js';
import type { Manifest } from '../programs/manifest.js';
import { readManifest } from '../programs/readManifest.js';
import { diffGraphTexts, differenceOf, type Difference } from './difference.js';
import { diffManifestTexts, manifestText } from './manifestText.js';

/**
 * How `b` differs from `a`: two program folders, or two ONNX files. Empty when they compute the same from equal
 * inputs; weights, configs and versions are not compared. Throws a UsageError for a path that is neither.
 */
export async function diffPrograms(a: string, b: string): Promise<Difference[]> {
  const folders = [await isFolder(a), await isFolder(b)];
  if (folders[0] !== folders[1]) {
    const kind = (i: number) => (folders[i] ? 'folder' : 'file');
    throw new UsageError(
      `${a} is a ${kind(0)}, ${b} a ${kind(1)}; accepted: two program folders or two ONNX files`,
    );
  }
  if (folders[0]) return diffFolders(a, b);
  return present([diffGraphTexts(b, await textOf(a), await textOf(b))]);
}

async function diffFolders(a: string, b: string): Promise<Difference[]> {
  const [before, after] = [await readManifest(a), await readManifest(b)];
  const differences = [diffManifestTexts('manifest', manifestText(before), manifestText(after))];
  const files = (manifest: Manifest) => new Map(manifest.graphs.map(({ name, file }) => [name, file]));
  const [oldFiles, newFiles] = [files(before), files(after)];
  for (const name of new Set([...oldFiles.keys(), ...newFiles.keys()])) {
    const [old, now] = [oldFiles.get(name), newFiles.get(name)];
    if (old === undefined) differences.push(differenceOf(name, `added: only in ${b}`));
    else if (now === undefined) differences.push(differenceOf(name, `removed: only in ${a}`));
    else differences.push(diffGraphTexts(name, await namedText(a, old), await namedText(b, now)));
  }
  return present(differences);
}

async function textOf(path: string): Promise<string> {
  return modelText(decodeModel(await readPlainFile(path), path));
}

/** Of a file that the manifest of a folder names. */
async function namedText(folder: string, file: string): Promise<string> {
  return modelText(decodeModel(await readNamedFile(folder, file), join(folder, file)));
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw new UsageError(`${path}: cannot be read; accepted: a program folder or an ONNX file`, { cause });
  }
}

function present(differences: readonly (Difference | undefined)[]): Difference[] {
  return differences.filter((difference) => difference !== undefined);
}
