import type { BestAccuracy } from './runSummary.js';
import type { ListedRun } from './listRuns.js';

/** Rows of cells, the first row the headings; what no run has is no column. */
export function runsTable(runs: readonly ListedRun[]): string[][] {
  const columns: readonly (readonly [heading: string, cell: (run: ListedRun) => string])[] = [
    ['run', ({ name }) => name],
    ['state', stateText],
    ['epoch', ({ epoch, epochs }) => `${Number(epoch.toFixed(1))}/${epochs ?? '?'}`],
    ['step', ({ step, steps }) => `${step}/${steps ?? '?'}`],
    ['images/s', ({ imagesPerSecond }) => (imagesPerSecond === null ? '' : imagesPerSecond.toPrecision(3))],
    ['monitor', ({ best }) => accuracyText(best.monitor)],
    ['kNN', ({ best }) => accuracyText(best.knn)],
    ['probe', ({ best }) => accuracyText(best.probe)],
    ['differs in', ({ differences }) => differencesText(differences)],
  ];
  const cells = columns.map(([heading, cell]) => [heading, ...runs.map(cell)]);
  const filled = cells.filter((column) => column.slice(1).some((cell) => cell !== ''));
  return [0, ...runs.keys()].map((_, row) => filled.map((column) => column[row]!));
}

/** With what the log adds to it. */
function stateText({ state, stop }: ListedRun): string {
  const more = stop?.reason === 'time-limit' ? 'time is up' : stop?.reason === 'early' ? 'early' : '';
  return more === '' || state === 'running' ? state : `${state} (${more})`;
}

/** e.g. `84.1 w1.00`, of the monitor `83.2 w1.00 @120`. */
function accuracyText(best: BestAccuracy | undefined): string {
  if (!best) return '';
  const at = best.epoch === undefined ? '' : ` @${best.epoch}`;
  return `${(100 * best.top1).toFixed(1)} ${best.label}${at}`;
}

function differencesText(differences: ListedRun['differences']): string {
  return Object.entries(differences)
    .map(([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(' ');
}
