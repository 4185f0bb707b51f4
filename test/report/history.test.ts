import { expect } from 'chai';
import { imagesPerSecond, trainingHistory } from '../../src/report/history.js';
import type { LoggedEvent } from '../../src/training/events.js';
import { exampleEvents } from './exampleRun.js';

/** The example run killed after step 400 and resumed from the checkpoint of step 312, an hour later. */
function resumedEvents(): LoggedEvent[] {
  const events = exampleEvents();
  const [start] = events;
  const later = (event: LoggedEvent): LoggedEvent => ({
    ...event,
    time: new Date(Date.parse(event.time) + 3_600_000).toISOString(),
  });
  const resumed = { ...start, step: 312 } as LoggedEvent;
  const repeated = events
    .slice(1 + 312)
    .map((event) => later(event.type === 'step' ? { ...event, seconds: 0.2 } : event));
  return [...events.slice(0, 1 + 401), later(resumed), ...repeated];
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
    // 401 steps logged 0.1 s apart by the killed process, then the seconds of the second one's stop.
    expect(history.seconds).to.be.closeTo(40.1 + 127.8, 1e-9);
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
