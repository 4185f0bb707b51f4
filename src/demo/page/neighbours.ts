import type { DemoIndex } from '../demoIndex.js';
import { element, make, type PageElement } from './dom.js';

/** Images that are shown, and vote. */
const shown = 12;

export interface Neighbour {
  readonly index: number;
  readonly cosine: number;
}

/** The rows of `bank`, `[n, C]` of length 1, nearest to a query of length 1. */
export function nearest(query: Float32Array, bank: Float32Array, count = shown): Neighbour[] {
  const channels = query.length;
  const all = Array.from({ length: bank.length / channels }, (_, index): Neighbour => {
    let cosine = 0;
    for (let c = 0; c < channels; c++) cosine += query[c]! * bank[index * channels + c]!;
    return { index, cosine };
  });
  return all.sort((a, b) => b.cosine - a.cosine).slice(0, count);
}

/** The class that most neighbours have, of equally many the one of the nearest, and how many; null where none has one. */
export function majority(
  neighbours: readonly Neighbour[],
  labels: readonly number[] | null,
): { label: number; votes: number } | null {
  if (!labels) return null;
  const votes = new Map<number, number>();
  for (const { index } of neighbours) {
    const label = labels[index]!;
    if (label >= 0) votes.set(label, (votes.get(label) ?? 0) + 1);
  }
  let best: { label: number; votes: number } | null = null;
  for (const [label, count] of votes) if (!best || count > best.votes) best = { label, votes: count };
  return best;
}

/** Puts neighbours and their verdict into the page. */
export function showNeighbours(
  neighbours: readonly Neighbour[],
  { labels, classes, sheet, count }: DemoIndex,
): void {
  const best = majority(neighbours, labels);
  element('verdict').textContent = best
    ? `${classes[best.label]}: ${best.votes} of the nearest ${neighbours.length}`
    : `the nearest ${neighbours.length} of ${count} images`;
  const items = neighbours.map(({ index, cosine }): PageElement => {
    const label = labels?.[index];
    const tile = make('div', { className: 'tile' });
    const rows = Math.ceil(count / sheet.columns);
    const place = (at: number, of: number) => `${of > 1 ? (100 * at) / (of - 1) : 0}%`;
    const [column, row] = [index % sheet.columns, Math.floor(index / sheet.columns)];
    tile.style.setProperty('background-image', `url("${sheet.file}")`);
    tile.style.setProperty('background-size', `${100 * sheet.columns}% ${100 * rows}%`);
    tile.style.setProperty('background-position', `${place(column, sheet.columns)} ${place(row, rows)}`);
    const name = label === undefined || label < 0 ? [] : [make('b', { textContent: classes[label]! })];
    const item = make('li', {}, tile, ...name, make('span', { textContent: cosine.toFixed(3) }));
    item.className = best && label === best.label ? 'same' : '';
    return item;
  });
  element('neighbours').replaceChildren(...items);
}
