import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, resolve } from 'node:path';
import { formatConfig } from '../config/format.js';
import { runCharts, type Chart } from './charts.js';
import { imagesPerSecond, trainingHistory, type History } from './history.js';
import { readRun, type Run } from './run.js';
import { style } from './style.js';
import { columnGroups, summarizeWidths } from './summary.js';
import { viewSize, type Config } from '../config/schema.js';
import { formatDuration } from './duration.js';

/**
 * Writes `report.html` into a run folder, one file that opens offline, and returns its path.
 * Throws UsageError for a folder that is not a run's.
 */
export async function writeReport(runFolder: string): Promise<string> {
  const run = await readRun(runFolder);
  const file = join(runFolder, 'report.html');
  await writeFile(file, await renderReport(run));
  return file;
}

/** The report page of a run. */
export async function renderReport(run: Run): Promise<string> {
  const history = trainingHistory(run.events);
  const charts = runCharts(run);
  const title = `slimclr run ${basename(resolve(run.folder))}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<h1>${escapeHtml(title)}</h1>
${renderFacts(run, history)}
${renderNotes([...run.notes, ...historyNotes(history)])}
<h2>Summary</h2>
${renderSummary(run)}
<h2>Charts</h2>
${charts.length === 0 ? '<p>This run has logged nothing to draw yet.</p>' : renderFigures(charts)}
${run.config === undefined ? '' : `<details><summary>Configuration</summary><pre>${escapeHtml(formatConfig(run.config))}</pre></details>`}
<script type="application/json" id="charts">${escapeScript(JSON.stringify(charts))}</script>
${await renderScripts()}
</body>
</html>
`;
}

function renderFacts({ config }: Run, history: History): string {
  const { start, steps, stop } = history;
  const speed = imagesPerSecond(history);
  const facts: [term: string, value: string | undefined][] = [
    ['Method', config && config.method.name],
    ['Widths', config && config.widths.join(', ')],
    ['Encoder', config && `${config.encoder.name}, ${config.encoder.stem} stem`],
    [
      'Data',
      config && `${config.data.source}${start ? `, ${start.images.toLocaleString('en')} images` : ''}`,
    ],
    ['Input and batch', config && inputSize(config)],
    ['Progress', start && progress(start, steps.length)],
    ['State', start && (stop === undefined ? 'running or killed' : stop.reason)],
    ['Duration', start && formatDuration(history.seconds)],
    ['Training speed', speed === undefined ? undefined : `${speed.toPrecision(3)} images/s`],
    ['Version', start && `slimclr ${start.version}`],
  ];
  const known = facts.filter(([, value]) => value !== undefined);
  if (known.length === 0) return '';
  const items = known.map(([term, value]) => `<div><dt>${term}</dt><dd>${escapeHtml(value!)}</dd></div>`);
  return `<dl class="facts">\n${items.join('\n')}\n</dl>`;
}

function progress({ config, stepsPerEpoch }: NonNullable<History['start']>, steps: number): string {
  const epochs = Number((steps / stepsPerEpoch).toFixed(1));
  return `${epochs} of ${config.epochs} epochs, ${steps.toLocaleString('en')} steps`;
}

function historyNotes({ skipped, stop }: History): string[] {
  const notes = stop?.message === undefined ? [] : [`Training stopped: ${stop.message}`];
  if (skipped.length > 0) {
    const examples = skipped.slice(0, 3).map(({ path, reason }) => `${path} (${reason})`);
    const more = skipped.length > 3 ? ` and ${skipped.length - 3} more` : '';
    notes.push(`Images that could not be read were skipped: ${examples.join(', ')}${more}.`);
  }
  return notes;
}

function renderNotes(notes: readonly string[]): string {
  if (notes.length === 0) return '';
  return `<ul class="notes">\n${notes.map((note) => `<li>${escapeHtml(note)}</li>`).join('\n')}\n</ul>`;
}

function renderSummary(run: Run): string {
  const columns = columnGroups.flatMap((group) => group.columns);
  const groupHeads = columnGroups.map(
    (group) => `<th colspan="${group.columns.length}">${group.heading}</th>`,
  );
  const heads = columns.map(({ heading }) => `<th scope="col">${heading}</th>`);
  const rows = summarizeWidths(run).map((width) => {
    const [label, ...cells] = columns.map((column) => column.cell(width));
    const data = cells.map((text) =>
      text === undefined ? '<td class="missing">–</td>' : `<td>${text}</td>`,
    );
    return `<tr><th scope="row">${label}</th>${data.join('')}</tr>`;
  });
  return `<div class="scroll"><table>
<thead>
<tr>${groupHeads.join('')}</tr>
<tr>${heads.join('')}</tr>
</thead>
<tbody>
${rows.join('\n')}
</tbody>
</table></div>`;
}

function renderFigures(charts: readonly Chart[]): string {
  const figures = charts.map(
    ({ id, title }) => `<figure class="chart" id="${id}"><figcaption>${title}</figcaption></figure>`,
  );
  return `<div class="charts">\n${figures.join('\n')}\n</div>`;
}

function inputSize(config: Config): string {
  const [input, view] = [config.data.imageSize, viewSize(config)];
  const views = view === input ? '' : `, views of ${view} x ${view}`;
  return `${input} x ${input} pixels${views}, ${config.batchSize} images`;
}

/** d3 and Plot as their packages ship them for browsers, then the script that draws. */
async function renderScripts(): Promise<string> {
  const require = createRequire(import.meta.url);
  const plot = join(dirname(require.resolve('@observablehq/plot')), '../dist/plot.umd.min.js');
  const d3 = join(dirname(require.resolve('d3')), 'd3.min.js');
  const libraries = await Promise.all([d3, plot].map((file) => readFile(file, 'utf8')));
  const page = await readFile(new URL('page.js', import.meta.url), 'utf8');
  return [
    ...libraries.map((code) => `<script>${escapeScript(code)}</script>`),
    `<script type="module">${escapeScript(page)}</script>`,
  ].join('\n');
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (char) => `&#${char.charCodeAt(0)};`);
}

/**
 * Text that may stand in a script element: nothing in it ends the element or opens a comment. JSON and
 * JavaScript read the escape as the character itself wherever it is inside a string.
 */
function escapeScript(text: string): string {
  return text.replace(/<(?=\/script|!--)/gi, '\\u003C');
}
