import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { logFile, readEvents } from './eventLog.js';

/** Whether the log of a run holds what its monitor found after a step. */
export async function wasMeasured(runFolder: string, step: number): Promise<boolean> {
  const path = join(runFolder, logFile);
  if (!existsSync(path)) return false;
  let found = false;
  await readEvents(path, {
    only: 'knn',
    onEvent: (event) => (found ||= event.type === 'knn' && event.step === step),
  });
  return found;
}
