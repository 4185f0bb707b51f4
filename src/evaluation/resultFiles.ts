import { join } from 'node:path';
import { keep, type Notices } from '../keep.js';
import { replaceFile } from '../replaceFile.js';
import type { ProbeProtocol, Result } from './results.js';

/** Writes the file of `results/` of a run folder that results.ts names for the result; a notice where that fails. */
export async function writeResult(runFolder: string, result: Result, notices: Notices): Promise<void> {
  const file = `results/${nameOf(result)}.json`;
  const text = `${JSON.stringify(result, null, 2)}\n`;
  await keep(file, () => replaceFile(join(runFolder, file), text), notices);
}

function nameOf(result: Result): string {
  switch (result.kind) {
    case 'probe':
      return probeName(result.protocol);
    case 'finetune':
      return `finetune-${percent(result.labels)}`;
    default:
      return result.kind;
  }
}

/** What the files of a protocol are called. */
export function probeName(protocol: ProbeProtocol): string {
  return protocol === 'features' ? 'probe' : `probe-${protocol}`;
}

/** A share in percent: 0.1 -> `10`, 0.005 -> `0.5`. */
export function percent(share: number): string {
  return String(Number((100 * share).toPrecision(6)));
}
