import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import { withAbsolutePaths } from '../data/absolutePaths.js';
import { UsageError } from '../errors.js';
import { readJsonIfThere } from '../readJson.js';
import { replaceFile } from '../replaceFile.js';
import { lockFile } from '../training/folderLock.js';
import { listDifferences, trainingDifferences } from '../training/resume.js';
import { renderAblationPage, renderMarkdown } from './render.js';
import { ablationSchema, type AblationEvaluation, type AblationResult, type AblationRun } from './results.js';
import type { AblationTable } from './variants.js';

/** What all runs of a folder have in common. */
export interface AblationSubject {
  readonly config: Config;
  readonly table: AblationTable;
  readonly evaluation: AblationEvaluation;
  /** SHA-256 of the label file; null: none. */
  readonly labels: string | null;
}

/**
 * The finished runs of a folder; none of a new one. Throws a UsageError for a folder of another ablation and for one
 * that holds anything else.
 */
export async function finishedRuns(
  folder: string,
  subject: AblationSubject,
): Promise<readonly AblationRun[]> {
  const saved = await readJsonIfThere(join(folder, 'ablation.json'), ablationSchema);
  if (!saved) {
    const names = existsSync(folder) ? await readdir(folder) : [];
    if (names.some((name) => !name.startsWith(lockFile))) {
      throw new UsageError(`${folder} holds no ablation; accepted: a new or empty folder, or one of ablate`);
    }
    return [];
  }
  const differences = trainingDifferences(withAbsolutePaths(saved.config), subject.config);
  if (differences.length > 0) {
    throw new UsageError(`${folder} is of another base config: ${listDifferences(differences)}`);
  }
  for (const key of ['table', 'evaluation'] as const) {
    const [there, here] = [JSON.stringify(saved[key]), JSON.stringify(subject[key])];
    if (there === here) continue;
    throw new UsageError(`${folder} is an ablation of another ${key}: ${there} there, ${here} here`);
  }
  if (saved.labels !== subject.labels) {
    throw new UsageError(
      `${folder} is an ablation by other labels than ${subject.config.data.labels} holds now; accepted: another folder`,
    );
  }
  return saved.runs;
}

/** Writes `ablation.json`, `ablation.md` and `ablation.html`. */
export async function writeAblation(folder: string, result: AblationResult): Promise<void> {
  const files = {
    'ablation.json': `${JSON.stringify(result, undefined, 2)}\n`,
    'ablation.md': renderMarkdown(result),
    'ablation.html': await renderAblationPage(result),
  };
  for (const [name, text] of Object.entries(files)) {
    await replaceFile(join(folder, name), text);
  }
}
