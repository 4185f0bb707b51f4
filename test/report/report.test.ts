import { expect } from 'chai';
import { mkdtempSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { renderReport, writeReport } from '../../src/report/report.js';
import { readRun } from '../../src/report/run.js';
import type { LoggedEvent, WidthLoss } from '../../src/training/events.js';
import type { Pictures } from '../../src/report/pictures.js';
import { chartsOf, chromium, figureOf, markCount, openPage } from '../support/browser.js';
import {
  teacherEntropy,
  exampleCandidates,
  exampleDiagnosis,
  exampleEvents,
  exampleExport,
  exampleFinetune,
  exampleKnn,
  exampleProbe,
  examplePictures,
  logText,
  writeRun,
} from './exampleRun.js';
import { removeFolder } from '../support/removeFolder.js';

type Step = Extract<LoggedEvent, { type: 'step' }>;

/** The step as if it had one width with a loss of one term. */
function withLosses(step: Step, label: string, loss: number): Step {
  return { ...step, losses: { [label]: { loss, terms: { info_nce: loss } } satisfies WidthLoss } };
}

const noPictures: Pictures = { views: 'No images.', neighbours: 'No features.' };

describe('report.html', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'slimclr-report-'))));
  afterEach(() => removeFolder(root));

  const results = { knn: exampleKnn, probe: exampleProbe, export: exampleExport };

  it('a run in float16: the scale of its loss and the steps that were skipped', async () => {
    const [start, ...events] = exampleEvents();
    if (start?.type !== 'start') throw new Error('no start');
    const runtime = { ...start.config.runtime, precision: 'float16' } as const;
    const config = { ...start.config, runtime };
    const skipped = (event: LoggedEvent): LoggedEvent =>
      event.type !== 'step'
        ? event
        : { ...event, lossScale: 32768, ...(event.step % 100 === 7 && { overflow: true as const }) };
    const log = logText([{ ...start, config }, ...events.map(skipped)]);
    const run = await readRun(writeRun(root, { log }));
    const html = await renderReport(run, noPictures);
    expect(html).to.contain('<dd>float16, loss scale 32,768, 13 steps skipped for an overflow</dd>');
    const other = mkdtempSync(join(root, 'float32-'));
    const plain = await readRun(writeRun(other, { log: logText(exampleEvents()) }));
    expect(await renderReport(plain, noPictures)).to.not.contain('<dt>Precision</dt>');
  });

  it('a complete run in Chromium: every chart has its marks, the pictures are there; the console is clean', async function () {
    if (chromium === undefined) this.skip();
    this.timeout(90_000);
    const finetuned = { ...results, 'finetune-1': exampleFinetune, candidates: exampleCandidates };
    const run = await readRun(writeRun(root, { log: logText(exampleEvents()), results: finetuned }));
    const file = join(root, 'report.html');
    writeFileSync(file, await renderReport(run, await examplePictures()));
    const { dom, console } = await openPage(file, join(root, 'profile'));
    expect(console).to.deep.equal([]);
    for (const id of ['knn-multiply-adds', 'probe-multiply-adds', 'knn-latency', 'probe-latency']) {
      expect(markCount(dom, id, 'line', 'path'), `lines of ${id}`).to.equal(2);
      expect(markCount(dom, id, 'dot', 'circle'), `dots of ${id}`).to.equal(8);
    }
    expect(markCount(dom, 'knn-precision', 'line', 'path')).to.equal(2);
    expect(markCount(dom, 'knn-precision', 'dot', 'circle')).to.equal(8);
    const overSteps = {
      loss: 4,
      'loss-epochs': 4,
      'loss-info_nce': 4,
      'loss-distillation': 3,
      'learning-rate': 1,
      speed: 1,
      loader: 1,
      'knn-monitor': 4,
      alignment: 4,
      uniformity: 4,
      std: 4,
      // The full width has no rest.
      'gradient-norms': 4 + 3,
      'gradient-ratios': 3,
      cosines: 6,
    };
    for (const [id, count] of Object.entries(overSteps)) {
      expect(markCount(dom, id, 'line', 'path'), `lines of ${id}`).to.equal(count);
      expect(figureOf(dom, id), id).to.include('>sub-networks start<');
    }
    expect(figureOf(dom, 'knn-monitor')).to.include('>best<').and.include('>epoch<');
    expect(dom).to.include('Best after epoch 8: 43.6 % on average over the widths, the last measurement.');
    expect(markCount(dom, 'layer-norms', 'line', 'path')).to.equal(4);
    expect(markCount(dom, 'layer-norms', 'dot', 'circle')).to.equal(4 * 18);
    expect(figureOf(dom, 'layer-norms')).to.include('>encoder.stage3.2.conv2</text>');
    expect(markCount(dom, 'cosine-map', 'cell', 'rect')).to.equal(16);
    expect(markCount(dom, 'layer-cosine-map', 'cell', 'rect')).to.equal(18 * 6);
    expect(figureOf(dom, 'std')).to.include('>collapse<');
    expect(
      chartsOf(dom)
        .map(({ id }) => id)
        .sort(),
    ).to.deep.equal(
      ['layer-norms', 'cosine-map', 'layer-cosine-map', 'knn-multiply-adds', 'probe-multiply-adds', 'knn-latency', 'probe-latency', 'knn-precision', ...Object.keys(overSteps)].sort(), // prettier-ignore
    );
    expect(dom.split('alt="view 1"')).to.have.length(1 + 2);
    expect(dom.split('class="same"')).to.have.length(1 + 2 * (5 + 4 + 3 + 2));
    expect(dom).to.include('Fine-tuned on few labels').and.include('>1 % of the labels<');
    expect(dom).to.include('Collapsed at step 1247: the embeddings of w0.25 (0.050)');
    expect(dom).to.include('batch 1, onnxruntime-node, cpu, threads: 2');
  });

  it('a run killed in its first step, in Chromium: sentences, no chart, a clean console', async function () {
    if (chromium === undefined) this.skip();
    this.timeout(90_000);
    const log = logText(exampleEvents().slice(0, 2)).slice(0, -9);
    const { dom, console } = await openPage(
      await writeReport(writeRun(root, { log }), { cacheDirectory: join(root, 'cache') }),
      join(root, 'profile'),
    );
    expect(console).to.deep.equal([]);
    expect(dom).to.include('The last line of events.jsonl is torn').and.include('running or killed');
    expect(dom).to.not.include('<figure').and.not.include('<img');
    for (const text of [
      'Accuracy is drawn against multiply-adds',
      'The training images are not available any more: data set cifar10 is not in ',
      'This run has logged no training step yet.',
      'The kNN monitor has not run yet.',
      'Gradients and features are measured every 26 steps, which has not happened yet.',
      'Nearest neighbours are shown once `slimclr knn ',
    ]) {
      expect(dom).to.include(text);
    }
  });

  it('a run without monitor, diagnostics and distillation: how to get them; a loss of one term is not drawn twice', async () => {
    const events = exampleEvents().flatMap((event): LoggedEvent[] => {
      if (event.type === 'knn' || event.type === 'diagnostics') return [];
      if (event.type !== 'start') return [event.type === 'step' ? withLosses(event, 'w1.00', 1) : event];
      return [{ ...event, config: { ...event.config, monitor: { kind: 'none' }, diagnostics: { everySteps: 0 } } }]; // prettier-ignore
    });
    const page = await renderReport(await readRun(writeRun(root, { log: logText(events) })), noPictures);
    expect(page).to.include('This run had no monitor; `--set monitor.kind=knn`');
    expect(page.split('`--set diagnostics.everySteps=100`')).to.have.length(1 + 2);
    expect(page).to.include('No images.').and.include('No features.');
    expect(chartsOf(page).map(({ id, title }) => [id, title])).to.deep.equal([
      ['loss', 'Loss of each width (InfoNCE)'],
      ['loss-epochs', 'Mean loss of each width in each epoch'],
      ['learning-rate', 'Learning rate'],
      ['speed', 'Training speed'],
      ['loader', 'Time spent waiting for the loader'],
    ]);
  });

  it('soft distillation is drawn as divergence where the entropy of the teacher is logged', async () => {
    const largest = async (events: readonly LoggedEvent[], id: string) => {
      const page = await renderReport(await readRun(writeRun(root, { log: logText(events) })), noPictures);
      const chart = chartsOf(page).find((found) => found.id === id);
      if (chart?.kind !== 'lines') throw new Error(`no chart ${id}`);
      const points = chart.series.flatMap(({ points }) => points.map(([, y]) => y));
      return { y: Math.max(...points), caption: chart.caption };
    };
    const events = exampleEvents();
    for (const [id, bound] of [
      ['loss', 8],
      ['loss-distillation', 1],
    ] as const) {
      const { y, caption } = await largest(events, id);
      expect(y).to.be.within(0, bound);
      expect(caption).to.include('divergence');
      const older = events.map((event): LoggedEvent => {
        if (event.type !== 'step') return event;
        const losses = Object.entries(event.losses).map(([label, { loss, terms }]) => [
          label,
          { loss, terms },
        ]);
        return { ...event, losses: Object.fromEntries(losses) as typeof event.losses };
      });
      const before = await largest(older, id);
      expect(before.y).to.be.above(teacherEntropy / 2);
      expect(before.caption).to.equal(undefined);
    }
  });

  it('a run diagnosed after training, probed in two ways: heat maps of the diagnosis, a table of the protocols', async () => {
    const log = logText(exampleEvents().filter(({ type }) => type !== 'diagnostics'));
    const ridge = { ...exampleProbe, protocol: 'ridge', lambdas: [1, 1, 1, 1] };
    const run = writeRun(root, { log, results: { 'probe-ridge': ridge, diagnostics: exampleDiagnosis } });
    const page = await renderReport(await readRun(run), noPictures);
    const titles = chartsOf(page).map(({ title }) => title);
    expect(titles).to.include('Cosine between the gradients of two widths at step 1248');
    expect(page).to.not.include('Collapsed at step').and.not.include('diagnostics.everySteps=100');
    expect(page).to.match(/<th scope="col">ridge<\/th>.*\n<tr><th scope="row">1\.00<\/th><td>55\.4<\/td>/);
  });

  it('fine-tuned on 1 and on 10 % of the labels: a table, the random encoder where it was asked for', async () => {
    const widths = exampleFinetune.widths.map(({ random: _, ...entry }) => entry);
    const more = { ...exampleFinetune, labels: 0.1, widths: widths.slice(1) };
    const finetuned = { 'finetune-10': more, 'finetune-1': exampleFinetune };
    const page = await renderReport(
      await readRun(writeRun(root, { log: '', results: finetuned })),
      noPictures,
    );
    expect(page).to.include(
      '<tr><th scope="col">width</th><th scope="col">1 % of the labels</th>' +
        '<th scope="col">1 % of the labels, random</th><th scope="col">10 % of the labels</th></tr>\n' +
        '<tr><th scope="row">1.00</th><td>38.2</td><td>24.1</td><td class="missing">–</td></tr>\n' +
        '<tr><th scope="row">0.75</th><td>36.5</td><td>23.4</td><td>36.5</td></tr>\n',
    );
  });

  it('25 times the steps: still below 3 MB', async () => {
    const [start, ...others] = exampleEvents() as [Extract<LoggedEvent, { type: 'start' }>, LoggedEvent];
    const repeated = Array.from({ length: 25 }, (_, n) =>
      others.map((event) => ('step' in event ? { ...event, step: event.step + 1248 * n } : event)),
    );
    const log = logText([start, ...repeated.flat()]);
    const file = await writeReport(writeRun(root, { log, results }), { cacheDirectory: join(root, 'cache') });
    expect(statSync(file).size).to.be.below(3e6);
  });

  it('loads nothing: the page names no other address but those inside its inlined libraries', async () => {
    const run = writeRun(root, { log: logText(exampleEvents()), results });
    const file = await writeReport(run, { cacheDirectory: join(root, 'cache') });
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
      ...others.map((event) => (event.type === 'step' ? withLosses(event, hostile, 1) : event)),
      { type: 'skipped', path: hostile, reason: 'truncated', time: start.time },
    ];
    const page = await renderReport(await readRun(writeRun(root, { log: logText(events) })), noPictures);
    const visible = page.replace(/<script.*?<\/script>/gs, '');
    expect(visible).to.include('&#60;img').and.not.include('<img').and.not.include('<!--');
    const [loss] = chartsOf(page);
    expect(loss?.kind === 'lines' && loss.series[0]!.name).to.equal(hostile);
  });

  it('a diverged run: its message and its finite losses', async () => {
    const events = exampleEvents().slice(0, 20);
    const last = events.at(-1) as Extract<LoggedEvent, { type: 'step' }>;
    const diverged = withLosses(last, 'w1.00', NaN);
    const stop = {
      type: 'stop',
      reason: 'diverged',
      step: 19,
      seconds: 2,
      message: 'loss is NaN',
      time: last.time,
    } as const;
    const log = logText([...events.slice(0, -1), diverged, stop]);
    const page = await renderReport(await readRun(writeRun(root, { log })), noPictures);
    expect(page).to.include('<dd>diverged</dd>').and.include('Training stopped: loss is NaN');
    const loss = chartsOf(page).find(({ id }) => id === 'loss');
    expect(loss?.kind === 'lines' && loss.series[0]!.points).to.have.length(18);
  });
});
