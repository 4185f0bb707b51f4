import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { logFile } from './eventLog.js';

/**
 * Puts the log of an earlier start aside, as `events.before-<n>.jsonl`, and removes its curves for TensorBoard, which are
 * in it. For a run that begins anew in a folder without a checkpoint.
 */
export async function setAsideLog(runFolder: string): Promise<void> {
  const log = join(runFolder, logFile);
  if (existsSync(log)) {
    const aside = (n: number) => join(runFolder, `events.before-${n}.jsonl`);
    let n = 1;
    while (existsSync(aside(n))) n++;
    await rename(log, aside(n));
  }
  const curves = join(runFolder, 'tensorboard');
  for (const name of await readdir(curves).catch((): string[] => [])) {
    if (/^events\.out\.tfevents\.\d+\.slimclr$/.test(name)) await rm(join(curves, name));
  }
}
