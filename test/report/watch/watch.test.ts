import { expect } from 'chai';
import { appendFileSync, mkdtempSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { UsageError } from '../../../src/errors.js';
import { SnapshotBuilder, type RunSnapshot } from '../../../src/report/watch/snapshot.js';
import { snapshotLine, snapshotLines } from '../../../src/report/watch/snapshotText.js';
import { runSnapshot, watchRun } from '../../../src/report/watch/watchRun.js';
import type { LoggedEvent } from '../../../src/training/events.js';
import { LogFollower } from '../../../src/training/logFollower.js';
import { slimclr } from '../../cli/slimclr.js';
import { rejection } from '../../support/rejection.js';
import { exampleEvents } from '../exampleRun.js';
import { removeFolder } from '../../support/removeFolder.js';

/** Up to the measurement after the fourth epoch, with a checkpoint and memory. */
const events: LoggedEvent[] = exampleEvents().map((event) =>
  event.type === 'step' ? { ...event, memory: 2.34e9 } : event,
);
const measured = events.findIndex((event) => event.type === 'knn' && event.epoch === 3);
const time = events[measured]!.time;
const running: LoggedEvent[] = [
  ...events.slice(0, measured + 1),
  { type: 'checkpoint', epoch: 4, step: 624, file: 'run/checkpoints/step-00000624.safetensors', time },
  { type: 'skipped', path: 'a\x1b.png', reason: 'is empty', time },
  { type: 'notice', message: 'portable graphs, whose steps take about twice as long', time },
];

function snapshotOf(list: readonly LoggedEvent[], seconds: number): RunSnapshot {
  const builder = new SnapshotBuilder('runs/photos');
  for (const event of list) builder.add(event);
  return builder.build(Date.parse(list.at(-1)!.time) + 1000 * seconds);
}

describe('slimclr watch', () => {
  let folder: string;
  let log: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-watch-'));
    log = join(folder, 'events.jsonl');
  });
  afterEach(() => removeFolder(folder));

  const lines = (list: readonly LoggedEvent[]) => list.map((event) => `${JSON.stringify(event)}\n`).join('');

  it('a running one: progress, time left, losses, kNN with its trend, speed, memory, checkpoint, notices', () => {
    const snapshot = snapshotOf(running, 30);
    expect(snapshot).to.deep.include({
      state: 'running',
      step: 624,
      steps: 1248,
      epoch: 4,
      epochs: 8,
      isEstimated: false,
      memory: 2.34e9,
      skipped: 1,
      overflows: 0,
    });
    expect(snapshot.lastEvent).to.equal(30);
    expect(snapshot.imagesPerSecond).to.be.closeTo(640, 1e-6);
    expect(snapshot.secondsLeft).to.be.closeTo(62.4, 1e-6);
    expect(Object.keys(snapshot.losses!.widths)).to.deep.equal(['w1.00', 'w0.75', 'w0.50', 'w0.25']);
    const { 'w1.00': full } = snapshot.knn!.widths;
    expect(full!.top1).to.be.closeTo(0.5 - 0.2 * Math.exp(-1), 1e-9);
    expect(full!.change).to.be.closeTo(0.2 * (Math.exp(-2 / 3) - Math.exp(-1)), 1e-9);
    expect(snapshot.knn).to.deep.include({ step: 624, without: 0, patience: 0 });
    expect(snapshotOf(running, 61).state).to.equal('silent');
    expect(snapshotOf(events, 3600)).to.include({ state: 'done', step: 1248, secondsLeft: null });
    // A clock that is behind the one of the log.
    expect(snapshotOf(running, -100).lastEvent).to.equal(0);
  });

  it('as text: no line is longer than a terminal of 40 columns, or of 100, and nothing is lost', () => {
    for (const columns of [39, 99]) {
      const text = snapshotLines(snapshotOf(running, 30), columns);
      for (const line of text) expect(line.length, line).to.be.at.most(columns);
      const flat = text.join(' ').replace(/\s+/g, ' ');
      for (const part of [
        'runs/photos running',
        'epoch 5/8 step 624/1248 50.0 % [###',
        '640 images/s 1 min 02 s left',
        'kNN, % w1.00 42.6 (+2.9)',
        'best mean 38.1 after 624',
        'memory 2.34 GB',
        'saved step 624, 30 s ago',
        'skipped 1 file (unreadable)',
        'note portable graphs, whose steps take about twice as long',
      ])
        expect(flat).to.contain(part);
    }
    expect(snapshotLine(snapshotOf(running, 3700))).to.match(
      /^epoch 5\/8 {2}step 624\/1248 {2}InfoNCE w1\.00 .* {2}640 images\/s .* saved step 624, 1 h 01 min ago .* {2}no event for 1 h 01 min$/,
    );
  });

  it('the log grows: a torn line counts when it is whole, one that is no event does not; a resumed run takes back what it does again', async () => {
    const resumed: LoggedEvent[] = [
      { ...(events[0] as Extract<LoggedEvent, { type: 'start' }>), step: 468, time },
      { ...events.find((event) => event.type === 'step' && event.step === 468)!, time },
    ];
    const last = lines(running.slice(-1));
    writeFileSync(log, lines(running.slice(0, -1)) + last.slice(0, 20));
    const seen: RunSnapshot[] = [];
    const appended = [`${last.slice(20)}\0\n{"type":"unknown"}\n`, lines(resumed), lines(events.slice(-1))];
    for await (const snapshot of watchRun(folder, { interval: 0.001 })) {
      seen.push(snapshot);
      appendFileSync(log, appended[seen.length - 1] ?? '');
    }
    expect(seen.map(({ state }) => state)).to.deep.equal(['silent', 'silent', 'silent', 'done']);
    expect(seen.map(({ notices }) => notices.length)).to.deep.equal([0, 1, 0, 0]);
    expect(seen.map(({ step }) => step)).to.deep.equal([624, 624, 469, 1248]);
    expect(seen[2]!.knn).to.include({ step: 468 });
    expect(seen[2]!.checkpoint, 'of a step that is done again').to.equal(null);
  });

  it('a log that takes the place of another: all is new; one that is away for a moment: said', async () => {
    writeFileSync(log, lines(running));
    const seen: RunSnapshot[] = [];
    for await (const snapshot of watchRun(folder, { interval: 0.001 })) {
      seen.push(snapshot);
      if (seen.length === 1) renameSync(log, `${log}.aside`);
      if (seen.length === 2) writeFileSync(log, lines(events.slice(0, 3)));
      if (seen.length === 3) break;
    }
    expect(seen[1]!.notices.at(-1)).to.match(/^events\.jsonl cannot be read now: ENOENT/);
    expect(seen[2]).to.deep.include({ step: 2, knn: null, checkpoint: null, notices: [] });
  });

  it('a long log: only its latest steps are read, and all that is rare', async () => {
    const steps = events.filter((event) => event.type === 'step');
    const many = lines(steps.slice(0, 2)).repeat(10_000);
    writeFileSync(log, lines(running) + many);
    const types = new Map<string, number>();
    const onEvent = ({ type }: LoggedEvent) => types.set(type, (types.get(type) ?? 0) + 1);
    const follower = new LogFollower(log, { onEvent, onReplaced: () => expect.fail('replaced') });
    expect(await follower.poll()).to.equal(true);
    expect(types.get('step')).to.be.within(100, 10_000);
    expect(types.get('knn')).to.equal(4);
    expect(await follower.poll(), 'nothing new').to.equal(false);
    expect(await runSnapshot(folder)).to.include({ step: 2 });
  });

  it('a log that has given way to an empty one is news, once', async () => {
    writeFileSync(log, lines(running));
    let replaced = 0;
    const follower = new LogFollower(log, { onEvent: () => {}, onReplaced: () => replaced++ });
    await follower.poll();
    writeFileSync(log, '');
    expect([await follower.poll(), await follower.poll(), replaced]).to.deep.equal([true, false, 1]);
  });

  it('no run there: a usage error; one whose log has not begun: being prepared', async () => {
    const error = await rejection(runSnapshot(folder));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/: no events\.jsonl; accepted: the run folder of a `slimclr pretrain`/);
    writeFileSync(join(folder, 'run.lock'), '');
    const snapshot = await runSnapshot(folder);
    expect(snapshot.state).to.equal('preparing');
    expect(snapshotLines(snapshot, 79)).to.deep.equal([`${folder}  being prepared`]);
  });

  it('the command: a finished run once, in lines, in one line, or as JSON', async () => {
    writeFileSync(log, lines(events));
    const [lined, one, json] = await Promise.all([
      slimclr('watch', folder),
      slimclr('watch', folder, '--once'),
      slimclr('watch', folder, '--json'),
    ]);
    expect(lined).to.include({ code: 0, stderr: '' });
    expect(lined.stdout).to.match(/^\d{4}-\S+Z {2}epoch 8\/8 {2}step 1248\/1248 .* {2}done\n$/);
    expect(one.stdout).to.match(/^\S+ {2}done\nepoch 8\/8 {2}step 1248\/1248 {2}100\.0 %\n\[#{78}\]\n/);
    expect(JSON.parse(json.stdout)).to.deep.include({ run: folder, state: 'done', step: 1248 });
  });
});
