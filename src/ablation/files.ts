import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/schema.js';
import { withAbsoluteSources } from '../data/absoluteSource.js';
import { SlimclrError, UsageError } from '../errors.js';
import { replaceFile } from '../replaceFile.js';
import { listDifferences, trainingDifferences } from '../training/resume.js';
import { renderAblationPage, renderMarkdown } from './render.js';
import type { AblationEvaluation, AblationResult, AblationRun } from './results.js';
import type { AblationTable } from './variants.js';

/** What all runs of a folder have in common. */
export interface AblationSubject {
  readonly config: Config;
  readonly table: AblationTable;
  readonly evaluation: AblationEvaluation;
}

/**
 * The finished runs of a folder; none of a new one. Throws a UsageError for a folder of another ablation and for one
 * that holds anything else.
 */
export async function finishedRuns(
  folder: string,
  subject: AblationSubject,
): Promise<readonly AblationRun[]> {
  const file = join(folder, 'ablation.json');
  if (!existsSync(file)) {
    if (existsSync(folder) && (await readdir(folder)).length > 0) {
      throw new UsageError(`${folder} holds no ablation; accepted: a new or empty folder, or one of ablate`);
    }
    return [];
  }
  const saved = await readResult(file);
  const differences = trainingDifferences(withAbsoluteSources(saved.config), subject.config);
  if (differences.length > 0) {
    throw new UsageError(`${folder} is of another base config: ${listDifferences(differences)}`);
  }
  for (const key of ['table', 'evaluation'] as const) {
    const [there, here] = [JSON.stringify(saved[key]), JSON.stringify(subject[key])];
    if (there === here) continue;
    throw new UsageError(`${folder} is an ablation of another ${key}: ${there} there, ${here} here`);
  }
  return saved.runs;
}

async function readResult(file: string): Promise<AblationResult> {
  try {
    const result = JSON.parse(await readFile(file, 'utf8')) as AblationResult;
    if (result.kind === 'ablation') return result;
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
  }
  throw new SlimclrError(
    `${file} is damaged: it holds no ablation; without it the finished trainings are kept`,
  );
}

/** Writes `ablation.json`, `ablation.md` and `ablation.html`. */
export async function writeAblation(folder: string, result: AblationResult): Promise<void> {
  const files = {
    'ablation.json': `${JSON.stringify(result, undefined, 2)}\n`,
    'ablation.md': renderMarkdown(result),
    'ablation.html': await renderAblationPage(result),
  };
  for (const [name, text] of Object.entries(files)) {
    await replaceFile(join(folder, name), (partial) => writeFile(partial, text));
  }
}
