import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { SlimclrError } from '../errors.js';
import type { Notices } from '../keep.js';
import { readJsonIfThere } from '../readJson.js';
import { version } from '../version.js';
import {
  exportManifestSchema,
  manifestFile,
  writeExportManifest,
  type ExportManifest,
  type ManifestModel,
  type ManifestRun,
} from './manifest.js';

/**
 * Adds models to the manifest of a folder, which is made where there is none: what it knows of other files stays, of
 * the same ones is replaced. A manifest that cannot be read, or is of another version, is put aside as
 * `manifest.before-<n>.json`, with a notice.
 */
export async function mergeManifest(
  folder: string,
  run: ManifestRun,
  models: readonly ManifestModel[],
  notices: Notices,
): Promise<ExportManifest> {
  const added = new Set(models.map(({ file }) => file));
  const kept = (await known(folder, notices)).filter(({ file }) => !added.has(file));
  const manifest: ExportManifest = {
    kind: 'slimclr-export',
    version: 1,
    slimclr: version,
    run,
    models: [...kept, ...models],
  };
  await writeExportManifest(folder, manifest);
  return manifest;
}

async function known(folder: string, { onNotice }: Notices): Promise<readonly ManifestModel[]> {
  const path = join(folder, manifestFile);
  try {
    return (await readJsonIfThere(path, exportManifestSchema))?.models ?? [];
  } catch (error) {
    if (!(error instanceof SlimclrError)) throw error;
    let n = 1;
    while (existsSync(join(folder, `manifest.before-${n}.json`))) n++;
    await rename(path, join(folder, `manifest.before-${n}.json`));
    onNotice?.(`${error.message}; kept as manifest.before-${n}.json, and written anew with the models of this export only`); // prettier-ignore
    return [];
  }
}
