import { expect } from 'chai';
import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatConfig } from '../../src/config/format.js';
import { UsageError } from '../../src/errors.js';
import type { TrainedProbeResult } from '../../src/evaluation/results.js';
import { trainingHistory } from '../../src/report/history.js';
import { readRun } from '../../src/report/run.js';
import type { LoggedEvent } from '../../src/training/events.js';
import {
  exampleConfig,
  exampleDiagnosis,
  exampleEvents,
  exampleExport,
  exampleFinetune,
  exampleKnn,
  exampleProbe,
  logText,
  writeRun,
} from './exampleRun.js';
import { removeFolder } from '../support/removeFolder.js';

describe('readRun', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'slimclr-run-'))));
  afterEach(() => removeFolder(root));

  it('a complete run: everything is read and nothing noted', async () => {
    const results = { knn: exampleKnn, probe: exampleProbe, export: exampleExport };
    const events = exampleEvents();
    const run = await readRun(writeRun(root, { log: logText(events), results }));
    expect(run).to.deep.equal({
      folder: root,
      config: exampleConfig,
      history: trainingHistory(events),
      ...results,
      otherProbes: [],
      finetunes: [],
      diagnosis: undefined,
      measured: { models: [] },
      notes: [],
    });
  });

  it('probes of other protocols and a diagnosis: read where they are, nothing noted where not', async () => {
    const { epochs: _, learningRate: _r, batchSize: _b, ...common } = exampleProbe as TrainedProbeResult;
    const ridge = { ...common, protocol: 'ridge', lambdas: [1, 1, 1, 1] };
    const augmented = { ...exampleProbe, protocol: 'augmented' };
    const results = { 'probe-ridge': ridge, 'probe-augmented': augmented, diagnostics: exampleDiagnosis };
    const run = await readRun(writeRun(root, { log: '', results }));
    expect(run.otherProbes).to.deep.equal([ridge, augmented]);
    expect(run.diagnosis).to.deep.equal(exampleDiagnosis);
    expect(run.notes.join('\n')).to.not.match(/diagnostics|probe-/);
  });

  it('fine-tuned on several shares of the labels: the fewest first; a damaged file is noted', async () => {
    const [few, many] = [exampleFinetune, { ...exampleFinetune, labels: 0.1 }];
    const results = { 'finetune-10': many, 'finetune-1': few, 'finetune-2': exampleKnn };
    const run = await readRun(writeRun(root, { results }));
    expect(run.finetunes).to.deep.equal([few, many]);
    expect(run.notes).to.include(
      'results/finetune-2.json was left out: kind is "knn"; accepted: "finetune".',
    );
  });

  it('a log torn in its last line: the events before it, and a note', async () => {
    const log = logText(exampleEvents().slice(0, 4)).slice(0, -20);
    const run = await readRun(writeRun(root, { log }));
    expect(run.history.steps.map(({ step }) => step)).to.deep.equal([0, 1]);
    expect(run.notes).to.include('The last line of events.jsonl is torn and was left out.');
  });

  it('a log torn in the middle, where a resumed run went on: the events around it, and a note', async () => {
    const lines = logText(exampleEvents().slice(0, 4)).split('\n');
    lines[1] = '{"type":"step","epo';
    const run = await readRun(writeRun(root, { log: lines.join('\n') }));
    expect(run.history.steps.map(({ step }) => step)).to.deep.equal([1, 2]);
    expect(run.notes).to.include('Line 2 of events.jsonl is torn and was left out.');
  });

  it('a log of percentages, resumed with shares: shares throughout', async () => {
    const knn = (step: number, top1: number, top5: number) => {
      const accuracies = { 'w1.00': { top1, top5 } };
      return { time: '2026-01-05T10:00:00Z', type: 'knn', epoch: 0, step, accuracies, seconds: 1 };
    };
    const { format, ...old } = exampleEvents()[0] as Extract<LoggedEvent, { type: 'start' }>;
    const log = [old, knn(155, 50, 75), { ...old, format, step: 156 }, knn(311, 0.5, 0.75)];
    const run = await readRun(
      writeRun(root, { log: log.map((event) => `${JSON.stringify(event)}\n`).join('') }),
    );
    expect(run.history.knn.map(({ accuracies }) => accuracies)).to.deep.equal(
      Array(2).fill({ 'w1.00': { top1: 0.5, top5: 0.75 } }),
    );
  });

  it('config.json only: its config, and a note for each missing part', async () => {
    writeFileSync(join(root, 'config.json'), formatConfig(exampleConfig));
    const run = await readRun(root);
    expect(run.config).to.deep.equal(exampleConfig);
    expect(run.notes.join('\n')).to.match(/events\.jsonl.*\n.*knn\.json.*\n.*probe\.json.*\n.*export\.json/);
  });

  it('results that are no JSON or of another kind, a config of another version: noted', async () => {
    writeRun(root, { log: '', results: { knn: exampleProbe } });
    writeFileSync(join(root, 'results', 'probe.json'), '{');
    writeFileSync(join(root, 'config.json'), '{"optimiser": {}}');
    const run = await readRun(root);
    expect(run.knn ?? run.probe ?? run.config).to.equal(undefined);
    const notes = run.notes.join('\n');
    expect(notes).to.include('results/knn.json was left out: kind is "probe"; accepted: "knn".');
    expect(notes).to.include('results/probe.json was left out: ');
    expect(notes).to.include('config.json was left out: config: unknown key "optimiser"');
  });

  for (const [what, path] of [
    ['an empty folder', 'empty'],
    ['a folder that does not exist', 'none'],
    ['a file', 'file'],
  ] as const) {
    it(`${what}: UsageError that names it`, async () => {
      mkdirSync(join(root, 'empty'));
      writeFileSync(join(root, 'file'), '');
      const error: unknown = await readRun(join(root, path)).catch((e: unknown) => e);
      expect(error).to.be.instanceOf(UsageError);
      expect((error as UsageError).message).to.include(
        `${join(root, path)} is not the folder of a run; accepted: `,
      );
    });
  }
});
