import { expect } from 'chai';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema, type ConfigInput } from '../../src/config/schema.js';
import { EventLog } from '../../src/training/eventLog.js';
import { Measurements } from '../../src/training/measurements.js';

type Monitor = Partial<Extract<NonNullable<ConfigInput['monitor']>, { kind: 'knn' }>>;

/** Ten steps an epoch, a slow start of two epochs. */
function configOf(monitor: Monitor) {
  return configSchema.parse({
    widths: [1, 0.5],
    techniques: { slowStart: { kind: 'full-width-first', epochs: 2 } },
    monitor: { ...monitor, kind: 'knn' },
  });
}

const knn = (epoch: number, full: number, half: number) => ({
  step: 10 * epoch + 9,
  accuracies: { 'w1.00': { top1: full, top5: 1 }, 'w0.50': { top1: half, top5: 1 } },
});

function measurements(monitor: Monitor, shares: readonly (readonly [number, number])[]): Measurements {
  const found = new Measurements(configOf(monitor), 10);
  for (const [epoch, [full, half]] of shares.entries()) found.add(knn(epoch, full, half));
  return found;
}

describe('Measurements', () => {
  it('the best by the mean of all widths, or by the full one; of equal ones the first', () => {
    const shares = [
      [0.25, 0.25],
      [0.5, 0.25],
      [0.375, 0.5],
      [0.4375, 0.4375],
      [0.5, 0],
    ] as const;
    expect(measurements({}, shares).best).to.deep.equal({ step: 30, criterion: 'mean', accuracy: 0.4375 });
    expect(measurements({ criterion: 'full' }, shares).best).to.deep.equal({
      step: 20,
      criterion: 'full',
      accuracy: 0.5,
    });
    expect(measurements({}, []).best).to.equal(null);
  });

  it('stops when nothing has risen by more than minDelta in patience measurements; those of the slow start do not count', () => {
    const flat = (count: number) => Array.from({ length: count }, () => [0.5, 0.5] as const);
    expect(measurements({}, flat(100)).stop, 'off').to.equal(null);
    expect(measurements({ patience: 3 }, flat(4)).stop).to.equal(null);
    expect(measurements({ patience: 3 }, flat(5)).stop).to.equal(
      'kNN top-1 of all widths, on average, has not risen above the 50.00 % after step 10 in 3 measurements (monitor.patience)',
    );
    const rising = [...flat(4), [0.5078125, 0.5078125], [0.515625, 0.515625]] as const;
    expect(measurements({ patience: 3, minDelta: 0 }, rising).stop).to.equal(null);
    expect(measurements({ patience: 4, minDelta: 0.015625 }, rising).stop).to.match(
      /by more than 1\.5625 points in 4 measurements/,
    );
    // Two small improvements are one that is large enough.
    expect(measurements({ patience: 4, minDelta: 0.01 }, rising).stop).to.equal(null);
  });

  it('a run that goes on counts as if it had not ended: what was gone back behind does not count', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slimclr-measurements-'));
    try {
      const config = configOf({ patience: 3 });
      const log = new EventLog(folder);
      const start = (step: number) =>
        log.write({
          ...{ type: 'start', format: 2, version: '0', config, labels: ['w1.00', 'w0.50'], images: 80 },
          ...{ stepsPerEpoch: 10, step },
        });
      const measure = (epoch: number, share: number) =>
        log.write({ type: 'knn', epoch, seconds: 1, ...knn(epoch, share, share) });
      start(0);
      for (const [epoch, share] of [0.1, 0.2, 0.3, 0.9].entries()) measure(epoch, share);
      start(30);
      for (const [epoch, share] of [0.2, 0.2].entries()) measure(3 + epoch, share);
      start(50);
      const found = new Measurements(config, 10);
      await found.read(folder, 50, null);
      expect(found.best).to.include({ step: 30, accuracy: 0.3 });
      expect([29, 39, 49, 59].map((step) => found.has(step))).to.deep.equal([true, true, true, false]);
      expect(found.stop).to.equal(null);
      found.add(knn(5, 0.3, 0.3));
      expect(found.stop).to.match(/above the 30\.00 % after step 30 in 3 measurements/);

      const back = new Measurements(config, 10);
      await back.read(folder, 20, null);
      expect(back.best).to.include({ step: 20 });
      const lost = new Measurements(config, 10);
      const mark = { step: 20, criterion: 'mean', accuracy: 0.5 } as const;
      await lost.read(join(folder, 'none'), 50, mark);
      expect(lost.best, 'without a log that of the checkpoint').to.deep.equal(mark);
      const otherwise = new Measurements(configOf({ patience: 3, testLimit: 10 }), 10);
      await otherwise.read(folder, 50, mark);
      expect([otherwise.best, otherwise.stop], 'measured on other images').to.deep.equal([null, null]);
      const later = new Measurements(config, 10);
      await later.read(join(folder, 'none'), 10, mark);
      expect(later.best).to.equal(null);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
