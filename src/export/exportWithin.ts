import { join } from 'node:path';
import { UsageError } from '../errors.js';
import { replaceFile } from '../replaceFile.js';
import { budgetText, chooseWithin, type Budget } from './budget.js';
import { writeCandidates, type CandidateModel, type Candidates } from './candidates.js';
import { openExport, type ExportJob, type ExportOptions } from './exportJob.js';
import { candidateOf, measureCandidates, type MadeCandidate } from './measureCandidates.js';
import { recordExport } from './recordExport.js';

/** What an export by budget found. */
export interface BudgetExport {
  /** What was measured, and what was chosen; in `results/candidates.json` of the run folder, too. */
  readonly candidates: Candidates;
  /** Path of the chosen model, relative to the run folder; null: none fits, and nothing was written. */
  readonly file: string | null;
  /** What was chosen and why, or that none fits and what is nearest, in one line. */
  readonly outcome: string;
}

/**
 * Exports the best model of a run that a budget allows: all widths in all precisions, or `options.precision`, are made and
 * measured on this machine; of those that fit, the most accurate one is written as by `exportRun`. Accuracy is kNN, else
 * the linear probe, measured as by a conversion (`Conversion`), or in float32 that of `results/`; without labelled images the
 * widest one counts as the best.
 * Throws what `exportRun` does, and a UsageError for a budget that limits nothing or is not above 0.
 */
export async function exportWithin(
  runFolder: string,
  budget: Budget,
  options: ExportOptions = {},
): Promise<BudgetExport> {
  checkBudget(budget);
  if (options.shared) {
    throw new UsageError('shared weights with a budget, which chooses one model; accepted: one or the other');
  }
  const { precision: _precision, conversion: _conversion, ...plainOptions } = options;
  const job = await openExport(runFolder, plainOptions);
  const { run } = job;
  const models = await measureCandidates(job, options);
  const { chosen, nearest, criterion } = chooseWithin(models, budget);
  const candidates: Candidates = {
    kind: 'candidates',
    version: 1,
    checkpoint: run.sha256,
    budget: { milliseconds: null, bytes: null, multiplyAdds: null, ...budget },
    criterion,
    chosen: chosen && { width: chosen.width, precision: chosen.precision },
    models: models.map(candidateOf),
  };
  await writeCandidates(runFolder, candidates, options);
  const file = chosen && (await writeChosen(job, chosen, options));
  return { candidates, file, outcome: outcome(budget, chosen, nearest, criterion) };
}

function checkBudget(budget: Budget): void {
  const limits = Object.entries(budget).filter(([, limit]) => limit !== undefined);
  if (limits.length === 0) throw new UsageError('a budget that limits nothing; accepted: time, bytes or multiply-adds'); // prettier-ignore
  const wrong = limits.find(([, limit]) => !(limit > 0 && limit < Infinity));
  if (wrong) throw new UsageError(`a budget of ${wrong[1]} ${wrong[0]}; accepted: a number > 0`);
}

/** Writes the model as `exportRun` does; returns its path relative to the run folder. */
async function writeChosen(
  job: ExportJob,
  { content, described }: MadeCandidate,
  options: ExportOptions,
): Promise<string> {
  await replaceFile(join(job.output, described.file), content);
  const { models } = await recordExport(job, [described], options);
  return models[0]!.file;
}

function outcome(
  budget: Budget,
  chosen: CandidateModel | null,
  nearest: CandidateModel,
  criterion: Candidates['criterion'],
): string {
  const { label, precision, latency, bytes, multiplyAdds } = nearest;
  const costs = { milliseconds: latency!.milliseconds, bytes, multiplyAdds };
  // Of the costs those that are limited.
  const limited = Object.fromEntries(
    Object.entries(costs).filter(([cost]) => budget[cost as keyof Budget] !== undefined),
  );
  const model = `${label} in ${precision} with ${budgetText(limited)}`;
  if (!chosen) return `no model fits a budget of ${budgetText(budget)}; the nearest is ${model}`;
  const best = { knn: 'the highest kNN accuracy', probe: 'the highest probe accuracy', width: 'the greatest width' }[criterion]; // prettier-ignore
  return `${model} has ${best} within ${budgetText(budget)}`;
}
