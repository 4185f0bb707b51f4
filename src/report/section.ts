import type { Chart } from './charts.js';
import { escapeHtml } from './html.js';

/** A part of the page under a heading. */
export interface Section {
  /** Identifier of its heading in the page. */
  readonly id: string;
  readonly title: string;
  readonly blocks: readonly Block[];
}

export type Block =
  /** Beside each other. */
  | { readonly kind: 'charts'; readonly charts: readonly Chart[] }
  | { readonly kind: 'sentence'; readonly text: string; readonly alarm?: boolean }
  /** Markup, escaped where it is made. */
  | { readonly kind: 'html'; readonly html: string };

export const sentence = (text: string): Block => ({ kind: 'sentence', text });
export const alarm = (text: string): Block => ({ kind: 'sentence', text, alarm: true });

/** The charts that there are, or a sentence that says why there is none. */
export function chartsOr(charts: readonly (Chart | null)[], absence: string): Block {
  const drawn = charts.filter((chart) => chart !== null);
  return drawn.length > 0 ? { kind: 'charts', charts: drawn } : sentence(absence);
}

export function renderSection({ id, title, blocks }: Section): string {
  return `<h2 id="${id}">${title}</h2>\n${blocks.map(renderBlock).join('\n')}`;
}

function renderBlock(block: Block): string {
  switch (block.kind) {
    case 'charts':
      return `<div class="charts">\n${block.charts.map(renderFigure).join('\n')}\n</div>`;
    case 'sentence':
      return `<p class="${block.alarm ? 'alarm' : 'sentence'}">${escapeHtml(block.text)}</p>`;
    case 'html':
      return block.html;
  }
}

function renderFigure({ id, title, caption, ...chart }: Chart): string {
  const isWide = chart.kind === 'heat-map' ? chart.wide : chart.xNames !== undefined;
  const wide = isWide ? ' wide' : '';
  const note = caption === undefined ? '' : `<p>${escapeHtml(caption)}</p>`;
  const heading = `<figcaption>${escapeHtml(title)}${note}</figcaption>`;
  return `<figure class="chart${wide}" id="${escapeHtml(id)}">${heading}</figure>`;
}
