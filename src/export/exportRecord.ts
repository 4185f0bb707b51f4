import { basename, join } from 'node:path';
import { SlimclrError } from '../errors.js';
import { writeResult } from '../evaluation/resultFiles.js';
import { exportSchema, type ExportedModelRecord, type ExportResult } from '../evaluation/results.js';
import type { Notices } from '../keep.js';
import { readJsonIfThere } from '../readJson.js';

/**
 * Adds models to `results/export.json` of a run folder. What is known of other models stays, of the same ones (the name
 * of the file tells) is replaced. A record that cannot be read is replaced with a notice.
 */
export async function recordModels(
  runFolder: string,
  { models, ...result }: ExportResult,
  notices: Notices,
): Promise<void> {
  const added = new Set(models.map(({ file }) => basename(file)));
  const kept = (await recorded(runFolder, notices)).filter(({ file }) => !added.has(basename(file)));
  const all = [...kept, ...models].sort(
    (a, b) => b.width - a.width || (basename(a.file) < basename(b.file) ? -1 : 1),
  );
  await writeResult(runFolder, { ...result, models: all }, notices);
}

async function recorded(runFolder: string, { onNotice }: Notices): Promise<readonly ExportedModelRecord[]> {
  try {
    return (await readJsonIfThere(join(runFolder, 'results', 'export.json'), exportSchema))?.models ?? [];
  } catch (error) {
    if (!(error instanceof SlimclrError)) throw error;
    onNotice?.(`${error.message}; it is written anew, with the models of this export only`);
    return [];
  }
}
