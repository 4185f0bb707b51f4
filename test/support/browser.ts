import { execFile, spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import type { Chart } from '../../src/report/charts.js';

/** The name of a Chromium; undefined where there is none. */
export const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** What a browser makes of a page: the document after its scripts ran, and what they wrote to the console. */
export async function openPage(file: string, profile: string): Promise<{ dom: string; console: string[] }> {
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=5000', '--dump-dom'];
  const logging = ['--enable-logging=stderr', '--v=0', `--user-data-dir=${profile}`];
  const { stdout, stderr } = await promisify(execFile)(
    chromium!,
    [...flags, ...logging, pathToFileURL(resolve(file)).href],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  return { dom: stdout, console: stderr.split('\n').filter((line) => line.includes('CONSOLE')) };
}

/** The figure of the chart with that id. */
export function figureOf(dom: string, id: string): string {
  return dom.split('<figure class="chart').find((part) => part.includes(` id="${id}"`)) ?? '';
}

/** Elements inside the marks of that kind ("line", "dot", "cell") of the chart with that id. */
export function markCount(dom: string, id: string, mark: string, element: string): number {
  const groups = figureOf(dom, id).split('<g aria-label="').filter((part) => part.startsWith(`${mark}"`)); // prettier-ignore
  return groups.reduce((count, group) => count + group.split('</g>')[0]!.split(`<${element} `).length - 1, 0);
}

/** The charts that a page holds. */
export function chartsOf(page: string): Chart[] {
  return JSON.parse(/id="charts">(.*?)<\/script>/s.exec(page)![1]!) as Chart[];
}
