/*
 * `npm run build && node dist/tools/picture.js RUN FILE.png`: accuracy against multiply-adds, as the report of a run draws
 * it, in a picture; how docs/quickstart.png was made. Needs Chromium.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { renderPage } from '../src/report/htmlPage.js';
import { readRun } from '../src/report/run.js';
import { renderSection } from '../src/report/section.js';
import { resultsSection } from '../src/report/sections/results.js';

const [runFolder, file] = process.argv.slice(2);
if (runFolder === undefined || file === undefined) {
  console.error('usage: node dist/tools/picture.js RUN FILE.png');
  process.exit(2);
}

const section = resultsSection(await readRun(runFolder));
const charts = section.blocks
  .flatMap((block) => (block.kind === 'charts' ? block.charts : []))
  .filter(({ id }) => id.endsWith('-multiply-adds'));
const markup = renderSection({ ...section, blocks: [{ kind: 'charts', charts }] });
const only = '<style>body { padding: 0 } h1, h2 { display: none }</style>';
const folder = mkdtempSync(join(tmpdir(), 'slimclr-picture-'));
try {
  const [page, screenshot] = [join(folder, 'page.html'), join(folder, 'page.png')];
  writeFileSync(page, await renderPage('Results', [only, markup], charts));
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    '--hide-scrollbars',
    '--window-size=1160,520',
  ];
  const target = [`--screenshot=${screenshot}`, `--user-data-dir=${join(folder, 'profile')}`];
  execFileSync('chromium', [...flags, ...target, '--virtual-time-budget=5000', pathToFileURL(page).href], {
    stdio: 'ignore',
  });
  await sharp(screenshot).trim().png({ palette: true, colours: 32 }).toFile(file);
} finally {
  rmSync(folder, { recursive: true });
}
