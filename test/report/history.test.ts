import { expect } from 'chai';
import { imagesPerSecond, trainingHistory, withDiagnosis } from '../../src/report/history.js';
import type { LoggedEvent } from '../../src/training/events.js';
import { exampleDiagnosis, exampleEvents, teacherEntropy } from './exampleRun.js';

/**
 * The example run killed after step 400 and resumed from the checkpoint of step 312, an hour later; each step takes
 * longer now, and the monitor and the diagnostics say so.
 */
function resumedEvents(): LoggedEvent[] {
  const events = exampleEvents();
  const [start] = events;
  const later = (event: LoggedEvent): LoggedEvent => ({
    ...event,
    time: new Date(Date.parse(event.time) + 3_600_000).toISOString(),
  });
  const resumed = { ...start, step: 312 } as LoggedEvent;
  const after = (step: number) => (event: LoggedEvent) => 'step' in event && event.step > step;
  const repeated = events
    .slice(events.findIndex(after(311)))
    .map((event) =>
      later(event.type === 'step' || event.type === 'knn' ? { ...event, seconds: 0.2 } : event),
    );
  return [...events.slice(0, events.findIndex(after(400))), later(resumed), ...repeated];
}

describe('trainingHistory', () => {
  it('a finished run: all steps, the seconds of its stop, images per second from the step times', () => {
    const history = trainingHistory(exampleEvents());
    expect(history.steps).to.have.length(8 * 156);
    expect(history.stop?.reason).to.equal('done');
    expect(history.seconds).to.be.closeTo(8 * 156 * 0.1 + 3, 1e-9);
    expect(imagesPerSecond(history)).to.be.closeTo(640, 1e-6);
  });

  it('killed after step 400, resumed from step 312: each step once, from the process that did it last', () => {
    const history = trainingHistory(resumedEvents());
    expect(history.steps.map(({ step }) => step)).to.deep.equal(Array.from({ length: 1248 }, (_, i) => i));
    expect(history.steps[311]?.seconds).to.equal(0.1);
    expect(history.steps[312]?.seconds).to.equal(0.2);
    // 401 steps, 15 diagnostics and 2 monitors logged 0.1 s apart by the killed process, then the seconds of the
    // second one's stop.
    expect(history.seconds).to.be.closeTo(41.8 + 127.8, 1e-9);
  });

  it('the same: each diagnosis once, and the monitor of the checkpoint it resumed from is kept', () => {
    const { diagnostics, knn } = trainingHistory(resumedEvents());
    expect(diagnostics.map(({ step }) => step)).to.deep.equal(
      Array.from({ length: 48 }, (_, i) => 26 * i + 25),
    );
    expect(knn.map(({ step, seconds }) => [step, seconds])).to.deep.equal(
      Array.from({ length: 8 }, (_, i) => [156 * i + 155, i < 2 ? 0.1 : 0.2]),
    );
  });

  it('the same: means of each epoch, the best measurements and where it went on', () => {
    const whole = trainingHistory(exampleEvents());
    const { epochs, best, resumed } = trainingHistory(resumedEvents());
    expect(resumed).to.deep.equal([312]);
    expect(whole.resumed).to.deep.equal([]);
    expect(epochs).to.deep.equal(whole.epochs);
    expect(epochs.map(({ epoch, steps }) => [epoch, steps])).to.deep.equal(
      Array.from({ length: 8 }, (_, epoch) => [epoch, 156]),
    );
    const own = whole.steps.filter(({ epoch }) => epoch === 3).map(({ losses }) => losses['w0.50']!);
    const mean = own.reduce((sum, { loss }) => sum + loss, 0) / 156;
    expect(epochs[3]!.losses['w0.50']!.loss).to.be.closeTo(mean, 1e-9);
    expect(epochs[3]!.losses['w0.50']!.teacherEntropy).to.be.closeTo(teacherEntropy, 1e-9);
    expect(Object.keys(epochs[0]!.losses)).to.deep.equal(['w1.00']);
    expect(best.mean!.step).to.equal(1247);
  });

  it('the best measurement: the first of equal ones, none that a resumed run did not make again', () => {
    const accuracy = (...top1: number[]) =>
      Object.fromEntries(top1.map((share, i) => [['w1.00', 'w0.50'][i]!, { top1: share, top5: 1 }]));
    const events = exampleEvents().filter(({ type }) => type !== 'stop' && type !== 'knn');
    const knn = (step: number, ...top1: number[]): LoggedEvent => ({ type: 'knn', epoch: 0, step, accuracies: accuracy(...top1), seconds: 1, time: '2026-01-05T12:00:00Z' }); // prettier-ignore
    const measured = [knn(100, 0.4, 0.5), knn(200, 0.6, 0.3), knn(300, 0.6, 0.2), knn(1000, 0.9, 0.9)];
    const resumed = { ...events[0]!, step: 400 } as LoggedEvent;
    const { best } = trainingHistory([...events, ...measured, resumed, knn(500, 0.5, 0.5)]);
    expect([best.widths['w1.00']!.step, best.widths['w0.50']!.step, best.mean!.step]).to.deep.equal([
      200, 100, 500,
    ]);
    expect(trainingHistory(events).best).to.deep.equal({ widths: {}, mean: undefined });
  });

  it('resumed from a checkpoint before the last monitor: that one is gone until it runs again', () => {
    const events = exampleEvents().filter(({ type }) => type !== 'stop');
    const resumed = { ...events[0]!, step: 400 } as LoggedEvent;
    expect(trainingHistory([...events, resumed]).knn.map(({ step }) => step)).to.deep.equal([155, 311]);
  });

  it('micro-batches: a step has the images of all of them', () => {
    const events = exampleEvents().map((event): LoggedEvent =>
      event.type === 'start' ? { ...event, config: { ...event.config, accumulation: 4 } } : event,
    );
    expect(imagesPerSecond(trainingHistory(events))).to.be.closeTo(4 * 640, 1e-6);
  });

  it('a run that is going on: no stop, the time up to its last event', () => {
    const history = trainingHistory(exampleEvents().slice(0, 11));
    expect(history.stop).to.equal(undefined);
    expect(history.seconds).to.be.closeTo(1, 1e-9);
  });

  it('an image skipped in every epoch counts once', () => {
    const skipped: LoggedEvent = {
      type: 'skipped',
      path: 'a.jpg',
      reason: 'truncated',
      time: '2026-01-05T10:00:00Z',
    };
    expect(trainingHistory([skipped, skipped]).skipped).to.deep.equal([skipped]);
  });
});

describe('withDiagnosis', () => {
  const history = trainingHistory(exampleEvents());
  const steps = (step: number) =>
    withDiagnosis(history, { ...exampleDiagnosis, step }).diagnostics.map((event) => event.step);

  it('stands at the step of its checkpoint, and in place of what was measured there', () => {
    expect(steps(1248).slice(-2)).to.deep.equal([1247, 1248]);
    expect(steps(30).slice(0, 3)).to.deep.equal([25, 30, 51]);
    expect(steps(25)).to.have.length(48);
    const [first] = withDiagnosis(history, { ...exampleDiagnosis, step: 25 }).diagnostics;
    expect(first!.diagnostics).to.equal(exampleDiagnosis.diagnostics);
  });

  it('none: the history as it is', () => {
    expect(withDiagnosis(history, undefined)).to.equal(history);
  });
});
