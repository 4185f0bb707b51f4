import { counted } from '../../counted.js';
import { formatCount } from '../../formatCount.js';
import { printable } from '../../printable.js';
import { formatDuration } from '../duration.js';
import type { KnnSnapshot, RunSnapshot } from './snapshot.js';
import { formatSpeed, termName } from './words.js';

/** Columns of the headings. */
const headColumns = 8;
const gap = '  ';

const stateNames: Readonly<Partial<Record<RunSnapshot['state'], string>>> = {
  preparing: 'being prepared',
  early: 'ended early',
};

/** A snapshot in lines of at most so many columns, which are 40 or more. */
export function snapshotLines(snapshot: RunSnapshot, columns: number): string[] {
  const { run, epochs, step, steps, losses, knn, memory, message, notices } = snapshot;
  const lines = wrapped([printable(run), stateText(snapshot)], columns);
  if (message !== undefined) lines.push(...wrapped(words(message), columns, ' '));
  if (steps === 0) return [...lines, ...noticeLines(notices, columns)];
  const share = step / steps;
  lines.push(
    ...wrapped([epochText(snapshot), `step ${step}/${steps}`, `${(100 * share).toFixed(1)} %`], columns),
  );
  const inside = Math.min(columns, 80) - 2;
  const full = Math.round(inside * share);
  lines.push(`[${'#'.repeat(full)}${'.'.repeat(inside - full)}]`);
  const row = (head: string, items: readonly string[]) =>
    items.length === 0 ? [] : headed(head, wrapped(items, columns - headColumns));
  lines.push(...wrapped(speedTexts(snapshot), columns));
  if (losses) lines.push(...row('loss', [termName(losses.term), ...lossTexts(losses.widths)]));
  if (knn) lines.push(...row('kNN, %', [...knnTexts(knn), ...trendTexts(knn)]));
  if (memory !== null) lines.push(...row('memory', [`${formatCount(memory)}B`]));
  lines.push(...row('saved', [checkpointText(snapshot)]), ...row('skipped', troubleTexts(snapshot)));
  if (epochs > 0) lines.push(...noticeLines(notices, columns));
  return lines;
}

/** A snapshot in one line, for a log. */
export function snapshotLine(snapshot: RunSnapshot): string {
  const { step, steps, losses, knn, memory, message } = snapshot;
  const state = snapshot.state === 'running' ? [] : [stateText(snapshot)];
  if (steps === 0) return state.join(gap);
  const troubles = troubleTexts(snapshot);
  return [
    epochText(snapshot),
    `step ${step}/${steps}`,
    ...(losses ? [`${termName(losses.term)} ${lossTexts(losses.widths).join(' ')}`] : []),
    ...speedTexts(snapshot),
    ...(knn ? [`kNN ${knnTexts(knn).join(' ')} %`] : []),
    ...(memory === null ? [] : [`${formatCount(memory)}B`]),
    `saved ${checkpointText(snapshot)}`,
    ...(troubles.length > 0 ? [`skipped ${troubles.join(', ')}`] : []),
    ...state,
    ...(message === undefined ? [] : [printable(message)]),
  ].join(gap);
}

function stateText({ state, lastEvent }: RunSnapshot): string {
  if (state === 'silent') return `no event for ${formatDuration(lastEvent!)}`;
  return stateNames[state] ?? state;
}

/** The epoch that is being trained, or the last one. */
function epochText({ epoch, epochs }: RunSnapshot): string {
  return `epoch ${Math.min(Math.floor(epoch) + 1, epochs)}/${epochs}`;
}

function speedTexts({ secondsLeft, isEstimated, imagesPerSecond }: RunSnapshot): string[] {
  return [
    ...(imagesPerSecond === null ? [] : [`${formatSpeed(imagesPerSecond)} images/s`]),
    ...(secondsLeft === null ? [] : [`${isEstimated ? '~' : ''}${formatDuration(secondsLeft)} left`]),
  ];
}

function lossTexts(widths: Readonly<Record<string, number>>): string[] {
  return Object.entries(widths).map(([label, loss]) => `${label} ${loss.toFixed(2)}`);
}

function knnTexts({ widths }: KnnSnapshot): string[] {
  return Object.entries(widths).map(([label, { top1, change }]) => {
    const trend = change === null ? '' : ` (${change < 0 ? '' : '+'}${(100 * change).toFixed(1)})`;
    return `${label} ${(100 * top1).toFixed(1)}${trend}`;
  });
}

function trendTexts({ step, best, without, patience }: KnnSnapshot): string[] {
  const what = best.criterion === 'full' ? 'w1.00' : 'mean';
  return [
    `after step ${step}`,
    `best ${what} ${(100 * best.accuracy).toFixed(1)} after ${best.step}`,
    ...(patience > 0 ? [`${without}/${patience} without gain`] : []),
  ];
}

function checkpointText({ checkpoint, state }: RunSnapshot): string {
  if (checkpoint === null) return 'nothing yet';
  const isOld = ['running', 'silent'].includes(state);
  return `step ${checkpoint.step}${isOld ? `, ${formatDuration(checkpoint.age)} ago` : ''}`;
}

function troubleTexts({ overflows, skipped }: RunSnapshot): string[] {
  return [
    ...(overflows > 0 ? [`${counted(overflows, 'step')} (overflow)`] : []),
    ...(skipped > 0 ? [`${counted(skipped, 'file')} (unreadable)`] : []),
  ];
}

function noticeLines(notices: readonly string[], columns: number): string[] {
  return notices.flatMap((notice) => headed('note', wrapped(words(notice), columns - headColumns, ' ')));
}

function words(text: string): string[] {
  return printable(text).split(' ');
}

function headed(head: string, lines: readonly string[]): string[] {
  return lines.map((line, i) => (i === 0 ? head : '').padEnd(headColumns) + line);
}

/** Items in as many lines as they need; one that is too long for a line is broken where the line ends. */
function wrapped(items: readonly string[], columns: number, between = gap): string[] {
  const lines: string[] = [];
  let line = '';
  for (let item of items) {
    if (line !== '' && line.length + between.length + item.length > columns) {
      lines.push(line);
      line = '';
    }
    for (; line === '' && item.length > columns; item = item.slice(columns))
      lines.push(item.slice(0, columns));
    line += line === '' ? item : between + item;
  }
  return line === '' ? lines : [...lines, line];
}
