import { expect } from 'chai';
import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { renderReport, writeReport } from '../../src/report/report.js';
import { readRun } from '../../src/report/run.js';
import type { LoggedEvent } from '../../src/training/events.js';
import { exampleEvents, exampleExport, exampleKnn, exampleProbe, logText, writeRun } from './exampleRun.js';

const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync(name, ['--version']).status === 0,
);

/** What a browser makes of a page: the document after its scripts ran, and what they wrote to the console. */
async function openPage(file: string, profile: string): Promise<{ dom: string; console: string[] }> {
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--virtual-time-budget=5000', '--dump-dom'];
  const logging = ['--enable-logging=stderr', '--v=0', `--user-data-dir=${profile}`];
  const { stdout, stderr } = await promisify(execFile)(
    chromium!,
    [...flags, ...logging, pathToFileURL(resolve(file)).href],
    { maxBuffer: 64 * 1024 * 1024 },
  );
  return { dom: stdout, console: stderr.split('\n').filter((line) => line.includes('CONSOLE')) };
}

/** Elements inside the marks of that kind ("line", "dot", "rule") of the chart with that id. */
function markCount(dom: string, id: string, mark: string, element: string): number {
  const figure = dom.split('<figure class="chart" id="').find((part) => part.startsWith(`${id}"`)) ?? '';
  const groups = figure.split('<g aria-label="').filter((part) => part.startsWith(`${mark}"`));
  return groups.join('').split('</g>')[0]!.split(`<${element} `).length - 1;
}

describe('report.html', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'slimclr-report-'))));
  afterEach(() => rmSync(root, { recursive: true }));

  const results = { knn: exampleKnn, probe: exampleProbe, export: exampleExport };

  it('a complete run in Chromium: every chart has its lines, dots and rule; the console is clean', async function () {
    if (chromium === undefined) this.skip();
    this.timeout(90_000);
    const file = await writeReport(writeRun(root, { log: logText(exampleEvents()), results }));
    const { dom, console } = await openPage(file, join(root, 'profile'));
    expect(console).to.deep.equal([]);
    for (const id of ['knn', 'probe']) {
      expect(markCount(dom, id, 'line', 'path'), `lines of ${id}`).to.equal(2);
      expect(markCount(dom, id, 'dot', 'circle'), `dots of ${id}`).to.equal(8);
    }
    const lines = { loss: 4, 'info-nce': 4, distillation: 3, 'learning-rate': 1, speed: 1, loader: 1 };
    for (const [id, count] of Object.entries(lines)) {
      expect(markCount(dom, id, 'line', 'path'), `lines of ${id}`).to.equal(count);
    }
    expect(dom.split('>sub-networks start<')).to.have.length(1 + Object.keys(lines).length);
  });

  it('a run killed in its first step, in Chromium: the notes, no chart, a clean console', async function () {
    if (chromium === undefined) this.skip();
    this.timeout(90_000);
    const log = logText(exampleEvents().slice(0, 2)).slice(0, -9);
    const { dom, console } = await openPage(
      await writeReport(writeRun(root, { log })),
      join(root, 'profile'),
    );
    expect(console).to.deep.equal([]);
    expect(dom).to.include('The last line of events.jsonl is torn').and.include('running or killed');
    expect(dom).to.include('nothing to draw yet').and.not.include('<figure');
  });

  it('loads nothing: the page names no other address but those inside its inlined libraries', async () => {
    const file = await writeReport(writeRun(root, { log: logText(exampleEvents()), results }));
    expect(file).to.equal(join(root, 'report.html'));
    const page = readFileSync(file, 'utf8').replace(/<script>.*?<\/script>/gs, '');
    expect(page).to.not.match(/https?:|<link[^>]*href="(?!data:)|<script[^>]*src|@import|url\(/);
  });

  it('markup in names and in the data stays text', async () => {
    const [start, ...others] = exampleEvents().slice(0, 3) as [
      Extract<LoggedEvent, { type: 'start' }>,
      LoggedEvent,
    ];
    const hostile = '</script><img src=x onerror=alert(1)><!--';
    const events: LoggedEvent[] = [
      {
        ...start,
        labels: [hostile],
        config: { ...start.config, data: { ...start.config.data, source: hostile } },
      },
      ...others.map((event) =>
        event.type === 'step' ? { ...event, losses: { [hostile]: { loss: 1, infoNce: 1 } } } : event,
      ),
      { type: 'skipped', path: hostile, reason: 'truncated', time: start.time },
    ];
    const page = await renderReport(await readRun(writeRun(root, { log: logText(events) })));
    const visible = page.replace(/<script.*?<\/script>/gs, '');
    expect(visible).to.include('&#60;img').and.not.include('<img').and.not.include('<!--');
    const data = /<script type="application\/json" id="charts">(.*?)<\/script>/s.exec(page)![1]!;
    expect(data).to.include('onerror');
    expect((JSON.parse(data) as { series: { name: string }[] }[])[0]!.series[0]!.name).to.equal(hostile);
  });

  it('a diverged run: its message and its finite losses', async () => {
    const events = exampleEvents().slice(0, 20);
    const last = events.at(-1) as Extract<LoggedEvent, { type: 'step' }>;
    const diverged = { ...last, losses: { 'w1.00': { loss: NaN, infoNce: NaN } } };
    const stop = {
      type: 'stop',
      reason: 'diverged',
      step: 19,
      seconds: 2,
      message: 'loss is NaN',
      time: last.time,
    } as const;
    const log = logText([...events.slice(0, -1), diverged, stop]);
    const page = await renderReport(await readRun(writeRun(root, { log })));
    expect(page).to.include('<dd>diverged</dd>').and.include('Training stopped: loss is NaN');
    const data = /id="charts">(.*?)<\/script>/s.exec(page)![1]!;
    const charts = JSON.parse(data) as { id: string; series: { points: unknown[] }[] }[];
    expect(charts.find(({ id }) => id === 'loss')!.series[0]!.points).to.have.length(18);
  });
});
