import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { formatConfig } from '../config/format.js';
import type { Config } from '../config/schema.js';
import type { Chart } from './charts.js';
import { escapeHtml, escapeScript } from './html.js';
import { style } from './style.js';

/** A page that opens offline: heading, blocks of markup, and the charts whose figures are in these. */
export async function renderPage(
  title: string,
  body: readonly string[],
  charts: readonly Chart[],
): Promise<string> {
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
${body.join('\n')}
<script type="application/json" id="charts">${escapeScript(JSON.stringify(charts))}</script>
${await renderScripts()}
</body>
</html>
`;
}

/** The config, folded away. */
export function renderConfig(config: Config): string {
  return `<details><summary>Configuration</summary><pre>${escapeHtml(formatConfig(config))}</pre></details>`;
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
