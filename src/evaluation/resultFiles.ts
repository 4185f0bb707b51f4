import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ExportResult, KnnResult, ProbeResult } from './results.js';

/** Writes `results/<kind>.json` of a run folder. */
export async function writeResult(
  runFolder: string,
  result: KnnResult | ProbeResult | ExportResult,
): Promise<void> {
  const path = join(runFolder, 'results', `${result.kind}.json`);
  await replaceFile(path, (partial) => writeFile(partial, `${JSON.stringify(result, null, 2)}\n`));
}

/** Writes a file under a temporary name and moves it into place: whoever reads `path` never sees half of it. */
export async function replaceFile(path: string, write: (partial: string) => Promise<void>): Promise<void> {
  const partial = `${path}.partial-${process.pid}`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await write(partial);
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}
