import { expect } from 'chai';
import { appendFileSync, closeSync, ftruncateSync, mkdtempSync, openSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs'; // prettier-ignore
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SlimclrError } from '../../src/errors.js';
import { readHistory } from '../../src/report/history.js';
import { EventLog, readEvents, type LogReader } from '../../src/training/eventLog.js';
import { eventSchema, isPlainStep, type LoggedEvent } from '../../src/training/events.js';
import { removeFolder } from '../support/removeFolder.js';

const time = '2026-01-05T10:00:00Z';
const step = (step: number) => ({
  time,
  type: 'step',
  epoch: 0,
  step,
  learningRate: 0.1,
  losses: { 'w1.00': { loss: 1 / (step + 1), terms: {} } },
  seconds: 0.1,
  computeSeconds: 0.1,
  loaderSeconds: 0,
});
const lines = (events: readonly unknown[]) => events.map((event) => `${JSON.stringify(event)}\n`).join('');

describe('events.jsonl', () => {
  let folder: string;
  let path: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-log-'));
    path = join(folder, 'events.jsonl');
  });
  afterEach(() => removeFolder(folder));

  async function read(options: Pick<LogReader, 'only' | 'size'> = {}) {
    const events: LoggedEvent[] = [];
    const problems: string[] = [];
    const bytes = await readEvents(path, {
      ...options,
      onEvent: (event) => events.push(event),
      onDamage: (line, problem) => problems.push(`${line} ${problem}`),
    });
    return { bytes, problems, steps: events.map((event) => ('step' in event ? event.step : -1)) };
  }

  it('lines over several chunks: each event once, whatever the boundaries cut', async () => {
    const count = 20_000;
    writeFileSync(path, lines(Array.from({ length: count }, (_, i) => step(i))));
    const { bytes, steps, problems } = await read();
    expect(bytes)
      .to.equal(statSync(path).size)
      .and.to.be.above(2 ** 21);
    expect(steps).to.deep.equal(Array.from({ length: count }, (_, i) => i));
    expect(problems).to.deep.equal([]);
  });

  it('lines that are no events: each named with what is wrong, the others read', async () => {
    const bad = ['null', '{"time": 1, "type": "step"}', '7', '{"type":"end","time":"x"}'];
    const losses = { ...step(1), losses: { 'w1.00': { loss: 'x', terms: {} } } };
    writeFileSync(
      path,
      `${lines([step(0)])}${bad.join('\n')}\n${lines([losses, step(2)])}{"type":"step","epo`,
    );
    const { steps, problems } = await read();
    expect(steps).to.deep.equal([0, 2]);
    expect(problems).to.deep.equal([
      'Line 2 is no event (it is null; accepted: an object)',
      'Line 3 is no event (time is 1; accepted: a string)',
      'Line 4 is no event (it is 7; accepted: an object)',
      'Line 5 is no event (type is "end"; accepted: "step", "start", "skipped", "notice", "knn", "diagnostics", "checkpoint", "profile", "stop")', // prettier-ignore
      'Line 6 is no event (losses.w1.00.loss is "x"; accepted: a number, or null)',
      'The last line is torn',
    ]);
  });

  it('a loss that is not finite is null in the file and NaN in the event', async () => {
    writeFileSync(path, lines([{ ...step(0), losses: { 'w1.00': { loss: NaN, terms: {} } } }]));
    const found: LoggedEvent[] = [];
    await readEvents(path, { onEvent: (event) => found.push(event) });
    expect(found[0]).to.have.nested.property('losses.w1\\.00.loss').that.is.NaN;
  });

  it('steps that are taken quickly are those that the schema takes as they are', () => {
    const good = step(3);
    const bad = [
      ...Object.keys(good).map((key) => ({ ...good, [key]: null })),
      { ...good, step: -1 },
      { ...good, epoch: 0.5 },
      { ...good, time: 'x' },
      { ...good, losses: [] },
      { ...good, losses: { a: null } },
      { ...good, losses: { a: { loss: 1 } } },
      { ...good, losses: { a: { loss: 1, terms: { b: '1' } } } },
    ];
    expect(isPlainStep(good)).to.equal(true);
    expect(eventSchema.parse(good)).to.deep.equal(good);
    for (const event of bad) {
      expect(isPlainStep(event), JSON.stringify(event)).to.equal(false);
      expect(eventSchema.safeParse(event).success, JSON.stringify(event)).to.equal(false);
    }
  });

  it('up to a size, and of one type only', async () => {
    writeFileSync(
      path,
      lines([step(0), { time, type: 'stop', reason: 'done', step: 1, seconds: 1 }, step(1)]),
    );
    expect((await read({ only: 'stop' })).steps).to.deep.equal([1]);
    const size = lines([step(0)]).length;
    expect(await read({ size })).to.deep.equal({ bytes: size, steps: [0], problems: [] });
  });

  it('a log longer than any string: continued after its torn line, and read', async function () {
    this.timeout(120_000);
    writeFileSync(path, lines([step(0)]));
    const file = openSync(path, 'r+');
    // A hole of zeros, as a file system may leave after a power cut; it takes no space.
    ftruncateSync(file, 600 * 2 ** 20);
    closeSync(file);
    new EventLog(folder).write({ type: 'checkpoint', epoch: 1, step: 3, file: 'x' });
    const { steps, problems } = await read();
    expect(steps).to.deep.equal([0, 3]);
    expect(problems).to.deep.equal(['Line 2 is longer than 67108864 bytes']);
    expect((await readHistory(path)).stepCount).to.equal(1);
  });

  it('a link in place of the log is not followed', function () {
    if (process.platform === 'win32') this.skip();
    writeFileSync(join(folder, 'other'), 'x');
    symlinkSync('other', path);
    expect(() => new EventLog(folder)).to.throw(
      SlimclrError,
      'events.jsonl is a link; accepted: a regular file',
    );
    expect(readFileSync(join(folder, 'other'), 'utf8')).to.equal('x');
  });

  it('continues a torn line on a new one, an ended one at once', () => {
    appendFileSync(path, '{"type":"st');
    new EventLog(folder).write({ type: 'checkpoint', epoch: 1, step: 3, file: 'x' });
    new EventLog(folder).write({ type: 'checkpoint', epoch: 1, step: 4, file: 'x' });
    expect(readFileSync(path, 'utf8').split('\n')).to.have.length(4);
  });
});
