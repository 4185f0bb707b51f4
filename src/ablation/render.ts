import { counted } from '../counted.js';
import type { LineChart, Series } from '../report/charts.js';
import { escapeHtml } from '../report/html.js';
import { renderConfig, renderPage } from '../report/htmlPage.js';
import { renderSection } from '../report/section.js';
import { seriesColor } from '../report/style.js';
import type { AblationResult } from './results.js';
import { ablationTables, spreadInPercent, type Table } from './tables.js';

/** The tables as Markdown. */
export function renderMarkdown(result: AblationResult): string {
  const tables = ablationTables(result).map(({ title, rows }) => {
    const [heads, ...lines] = rows.map((row) => `| ${row.join(' | ')} |`);
    const rule = `| --- |${' ---: |'.repeat(rows[0]!.length - 1)}`;
    return `## ${title}\n\n${[heads, rule, ...lines].join('\n')}\n`;
  });
  return [`# ${titleOf(result)}\n`, `${described(result)}\n`, ...tables].join('\n');
}

/** The charts and tables as a page that opens offline. */
export function renderAblationPage(result: AblationResult): Promise<string> {
  const charts = [
    accuracyChart(result, 'knn', 'kNN top-1 against width'),
    accuracyChart(result, 'ridge', 'Ridge regression top-1 against width'),
  ];
  const sections = [
    { id: 'accuracy', title: 'Accuracy', blocks: [{ kind: 'charts' as const, charts }] },
    {
      id: 'numbers',
      title: 'Numbers',
      blocks: ablationTables(result).map((table) => ({ kind: 'html' as const, html: renderTable(table) })),
    },
  ];
  const body = [
    `<p class="sentence">${escapeHtml(described(result))}</p>`,
    ...sections.map(renderSection),
    renderConfig(result.config),
  ];
  return renderPage(titleOf(result), body, charts);
}

function titleOf({ config }: AblationResult): string {
  return `slimclr ablation of ${config.encoder.name} on ${config.data.source}`;
}

/** What was run, and what `±` means. */
function described({ complete, config, failures, runs, table }: AblationResult): string {
  const { epochs, method } = config;
  const seeds = new Set(runs.map(({ seed }) => seed)).size;
  const state = complete ? '' : ' So far: runs are missing.';
  const failed = failures.map(
    ({ variant, seed, message }) => ` ${variant}, seed ${seed}, failed: ${message}.`,
  );
  return (
    `${method.kind}, ${counted(epochs, 'epoch')}; ${Object.keys(table).length} variants, ` +
    `${runs.length} runs of ${counted(seeds, 'seed')}. ` +
    `± is the standard deviation over the seeds.${state}${failed.join('')}`
  );
}

function accuracyChart({ variants }: AblationResult, key: 'knn' | 'ridge', title: string): LineChart {
  const series = variants.map(({ name, widths }, i): Series => {
    const values = widths.map((entry) => spreadInPercent(entry[key]));
    return {
      name,
      color: seriesColor(i),
      points: widths.map(({ width }, w) => [width, Number(values[w]!.mean.toFixed(3))]),
      spreads: values.map(({ std }) => std ?? 0),
    };
  });
  return {
    kind: 'lines',
    id: `accuracy-${key}`,
    title,
    caption: 'Bars: one standard deviation over the seeds to each side.',
    xLabel: 'width',
    yLabel: 'top-1, %',
    series,
    dots: true,
    rules: [],
    yScale: 'linear',
  };
}

function renderTable({ title, rows }: Table): string {
  const [heads, ...lines] = rows;
  const head = heads!.map((text) => `<th scope="col">${escapeHtml(text)}</th>`).join('');
  const body = lines.map(([name, ...cells]) => {
    const data = cells.map((text) => `<td>${escapeHtml(text)}</td>`).join('');
    return `<tr><th scope="row">${escapeHtml(name!)}</th>${data}</tr>`;
  });
  return `<h3>${escapeHtml(title)}</h3>
<div class="scroll"><table>
<thead>
<tr>${head}</tr>
</thead>
<tbody>
${body.join('\n')}
</tbody>
</table></div>`;
}
