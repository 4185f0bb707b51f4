import { expect } from 'chai';
import { mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatConfig } from '../../src/config/format.js';
import { withAssignments } from '../../src/config/load.js';
import { UsageError } from '../../src/errors.js';
import { importRun } from '../../src/import/importRun.js';
import { listRuns, type ListedRun } from '../../src/report/runList/listRuns.js';
import { runsTable } from '../../src/report/runList/runsTable.js';
import type { LoggedEvent } from '../../src/training/events.js';
import { FolderLock } from '../../src/training/folderLock.js';
import { rejection } from '../support/rejection.js';
import { fixture } from '../import/comparison.js';
import { exampleConfig, exampleEvents, exampleKnn, exampleProbe, logText, writeRun } from './exampleRun.js';
import { removeFolder } from '../support/removeFolder.js';

const events = exampleEvents();
/** The run up to a step, with another config or end. */
const until = (step: number, ...end: LoggedEvent[]) => [
  ...events.filter((event) => event.type === 'start' || ('step' in event && event.step < step)),
  ...end,
];
const stop = (reason: 'interrupted' | 'time-limit' | 'diverged', step: number): LoggedEvent => ({
  type: 'stop',
  reason,
  step,
  seconds: 1,
  time: '2026-01-06T00:00:00Z',
});
const withConfig = (log: readonly LoggedEvent[], ...set: string[]) =>
  log.map((event) =>
    event.type === 'start' ? { ...event, config: withAssignments(exampleConfig, set) } : event,
  );

describe('listRuns', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'slimclr-runs-'))));
  afterEach(() => removeFolder(root));

  const write = (name: string, log: readonly LoggedEvent[], results: Record<string, unknown> = {}) =>
    writeRun(join(root, name), { log: logText(log), results });
  const list = async () => {
    const { runs, notes } = await listRuns(root);
    expect(notes).to.deep.equal([]);
    return new Map(runs.map((run) => [run.name, run]));
  };

  it('state, progress, speed and the best accuracies, by monitor, kNN and probe', async () => {
    write('a/done', events, { knn: exampleKnn, probe: exampleProbe });
    write('a/interrupted', until(700, stop('interrupted', 700)));
    write('b10', until(312, stop('time-limit', 312)));
    write('b9', until(90, stop('diverged', 90)));
    write('killed', until(500));
    // Links lead round in circles.
    symlinkSync(root, join(root, 'a', 'link'));
    const runs = await list();
    expect([...runs.keys()]).to.deep.equal(['a/done', 'a/interrupted', 'b9', 'b10', 'killed']);
    expect([...runs.values()].map(({ state, step, epoch }) => [state, step, epoch])).to.deep.equal([
      ['done', 1248, 8],
      ['interrupted', 700, 700 / 156],
      ['diverged', 90, 90 / 156],
      ['interrupted', 312, 2],
      ['crashed', 500, 500 / 156],
    ]);
    const { best, imagesPerSecond, steps, epochs, differences } = runs.get('a/done')!;
    expect({ steps, epochs, differences }).to.deep.equal({ steps: 1248, epochs: 8, differences: {} });
    expect(imagesPerSecond).to.be.closeTo(640, 1e-9);
    expect(best).to.deep.equal({
      monitor: { label: 'w1.00', top1: 0.5 - 0.2 * Math.exp(-7 / 3), by: 'monitor', epoch: 8 },
      knn: { label: 'w1.00', top1: 0.523, by: 'knn' },
      probe: { label: 'w1.00', top1: 0.554, by: 'probe' },
    });
    expect(runs.get('b10')!.stop).to.deep.equal({ reason: 'time-limit' });
    expect(runs.get('b10')!.best.monitor).to.include({ epoch: 2 });
    expect(runsTable([...runs.values()]).map((row) => row.slice(0, 5).join(' | '))).to.deep.equal([
      'run | state | epoch | step | images/s',
      'a/done | done | 8/8 | 1248/1248 | 640',
      'a/interrupted | interrupted | 4.5/8 | 700/1248 | 640',
      'b9 | diverged | 0.6/8 | 90/1248 | 640',
      'b10 | interrupted (time is up) | 2/8 | 312/1248 | 640',
      'killed | crashed | 3.2/8 | 500/1248 | 640',
    ]);
  });

  it('differences: only the keys in which the runs differ, without what a run writes itself', async () => {
    write('a', withConfig(events, 'epochs=9', 'continued.step=20'));
    write('b', withConfig(events, 'schedule.kind=constant', 'schedule.peak=0.1'));
    write('c', events);
    const runs = await list();
    const { kind, peak } = exampleConfig.schedule;
    const others = { epochs: 8, 'schedule.kind': kind, 'schedule.peak': peak };
    expect(runs.get('a')!.differences).to.deep.equal({ ...others, epochs: 9 });
    expect(runs.get('b')!.differences).to.deep.equal({
      epochs: 8,
      'schedule.kind': 'constant',
      'schedule.peak': 0.1,
      'schedule.coolDown': 0,
      'schedule.coolDownCurve': '1-sqrt',
    });
    expect(runs.get('c')!.differences).to.deep.equal(others);
    expect(runsTable([...runs.values()])[3]!.at(-1)).to.equal(
      `schedule.kind=cosine schedule.peak=${peak} epochs=8`,
    );
  });

  it('a process that writes: running, and nothing is written; its lock without it: crashed', async () => {
    const folder = write('run', until(500));
    const lock = await FolderLock.acquire(folder, { command: 'slimclr pretrain' });
    const names = readdirSync(folder);
    expect((await list()).get('run')!.state).to.equal('running');
    expect(readdirSync(folder)).to.deep.equal(names);
    lock.release();
    expect((await list()).get('run')!.state).to.equal('crashed');
  });

  it('gone on after a crash: what was done again counts in its last version', async () => {
    const again: LoggedEvent[] = until(400).map((event) =>
      event.type === 'start' ? { ...event, step: 312 } : event,
    );
    const worse = again
      .filter((event) => event.type === 'start' || ('step' in event && event.step >= 312))
      .map((event) =>
        event.type === 'knn' ? { ...event, accuracies: { 'w1.00': { top1: 0.1, top5: 0.2 } } } : event,
      );
    write('run', [...until(1000), ...worse]);
    const run = (await list()).get('run')!;
    expect(run).to.include({ state: 'crashed', step: 400 });
    expect(run.best.monitor).to.include({ epoch: 2, top1: 0.5 - 0.2 * Math.exp(-1 / 3) });
  });

  it('an imported model, a run that never began, the folder of one run; what is no run is none', async () => {
    await importRun(fixture('plain.pth'), { output: join(root, 'imported') });
    mkdirSync(join(root, 'new', 'programs'), { recursive: true });
    writeFileSync(join(root, 'new', 'config.json'), formatConfig(exampleConfig));
    mkdirSync(join(root, 'export'));
    writeFileSync(join(root, 'export', 'config.json'), '{}');
    const runs = await list();
    expect([...runs].map(([name, { state }]) => [name, state])).to.deep.equal([
      ['imported', 'imported'],
      ['new', 'unbegun'],
    ]);
    expect(runs.get('new')).to.include({ step: 0, steps: null, epochs: 8 });
    const { runs: one } = await listRuns(join(root, 'new'));
    expect(one.map(({ name }: ListedRun) => name)).to.deep.equal(['new']);
  });

  it('damage is noted, and what is whole is told: a torn log, config and result', async () => {
    const folder = write('run', until(500), { knn: exampleKnn });
    writeFileSync(join(folder, 'events.jsonl'), `${logText(until(500))}{"type":"stop","rea`);
    writeFileSync(join(folder, 'results', 'probe.json'), '{');
    writeRun(join(root, 'torn'), { log: '{"type":"start","x":' });
    writeFileSync(join(root, 'torn', 'config.json'), '{"epochs":');
    const runs = await list();
    expect(runs.get('run')).to.include({ state: 'crashed', step: 500 });
    expect(runs.get('run')!.best.knn!.top1).to.equal(0.523);
    expect(runs.get('run')!.notes.join('\n')).to.match(
      /1 damaged line of events\.jsonl.*\n.*probe\.json: not JSON/,
    );
    expect(runs.get('torn')).to.include({ state: 'unbegun', epochs: null });
    expect(runs.get('torn')!.notes.join('\n')).to.match(/config\.json: not JSON/);
  });

  it('no folder: wrong usage', async () => {
    const error = await rejection(listRuns(join(root, 'nowhere')));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/nowhere: no such folder; accepted: a folder with runs below it$/);
  });
});
