import { join } from 'node:path';
import { UsageError } from '../errors.js';
import { manifestFile } from './folder.js';
import { manifestSchema, type Manifest } from './manifest.js';
import { readJsonIfThere } from '../readJson.js';

/**
 * Reads the manifest of a program folder. Throws a UsageError when there is none, a SlimclrError when it is of another
 * format or version.
 */
export async function readManifest(folder: string): Promise<Manifest> {
  const manifest = await readJsonIfThere(join(folder, manifestFile), manifestSchema);
  if (!manifest) throw new UsageError(`${folder}: no program folder (it holds no ${manifestFile})`);
  return manifest;
}
