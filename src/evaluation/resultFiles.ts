import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../replaceFile.js';
import type { ExportResult, KnnResult, ProbeResult } from './results.js';

/** Writes `results/<kind>.json` of a run folder. */
export async function writeResult(
  runFolder: string,
  result: KnnResult | ProbeResult | ExportResult,
): Promise<void> {
  const path = join(runFolder, 'results', `${result.kind}.json`);
  await replaceFile(path, (partial) => writeFile(partial, `${JSON.stringify(result, null, 2)}\n`));
}
