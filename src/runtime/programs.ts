import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SlimclrError, UsageError } from '../errors.js';
import { manifestFile } from '../programs/folder.js';
import type { Manifest } from '../programs/manifest.js';

/** Reads the manifest of a program folder. Throws when there is none or it is of another format or version. */
export async function readManifest(folder: string): Promise<Manifest> {
  const path = join(folder, manifestFile);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`${folder}: no program folder (${manifestFile} cannot be read)`, { cause });
  }
  let manifest: Partial<Manifest>;
  try {
    manifest = JSON.parse(text) as Partial<Manifest>;
  } catch (cause) {
    throw new SlimclrError(`${path}: not JSON`, { cause });
  }
  if (manifest.format !== 'slimclr-programs' || manifest.version !== 1) {
    throw new SlimclrError(
      `${path}: format ${manifest.format} version ${manifest.version}; accepted: slimclr-programs version 1`,
    );
  }
  return manifest as Manifest;
}
