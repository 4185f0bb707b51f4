import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isRecord } from '../config/layers.js';
import { decodeText } from '../config/text.js';
import { UsageError } from '../errors.js';

/** Keys that every config of a run has had. */
const ownKeys = ['widths', 'encoder', 'method'];

/**
 * Refuses, with a UsageError, a folder whose config.json is something else than the config of a run, which would be replaced: a
 * model of another program, say. One that is torn counts as the run's own.
 */
export async function checkRunFolder(folder: string): Promise<void> {
  const path = join(folder, 'config.json');
  let json: unknown;
  try {
    json = JSON.parse(decodeText(await readFile(path)));
  } catch {
    // None, or torn; what else is wrong with it is said when it is written.
    return;
  }
  if (isRecord(json) && ownKeys.every((key) => key in json)) return;
  throw new UsageError(`${path} is not the config of a run and would be replaced; accepted: another folder`);
}
