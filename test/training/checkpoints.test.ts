import { expect } from 'chai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema, type Config, type ConfigInput } from '../../src/config/schema.js';
import { checkpointFolder, writeCheckpoint } from '../../src/training/checkpoint.js';
import { markBest, readBestMark, type BestMark } from '../../src/training/checkpointIndex.js';
import { Checkpoints } from '../../src/training/checkpoints.js';
import { EventLog } from '../../src/training/eventLog.js';
import { Measurements } from '../../src/training/measurements.js';
import { TrainingPlan } from '../../src/training/plan.js';
import type { PreparedRun } from '../../src/training/trainingLoop.js';
import { removeFolder } from '../support/removeFolder.js';

/** Ten steps an epoch. */
function configOf(monitor: object = {}, checkpoint: ConfigInput['checkpoint'] = {}): Config {
  return configSchema.parse({
    widths: [1, 0.5],
    epochs: 9,
    checkpoint,
    monitor: { ...monitor, kind: 'knn' },
  });
}

/** Top-1 of both widths after each epoch: the mean is best after 20 steps, the full width after 10. */
const shares = [
  [0.5, 0],
  [0.25, 0.75],
  [0.375, 0.375],
] as const;

describe('Checkpoints of a run that goes on after 30 steps', () => {
  let run: string;
  beforeEach(() => (run = mkdtempSync(join(tmpdir(), 'slimclr-checkpoints-'))));
  afterEach(() => removeFolder(run));

  /** The log of three epochs, checkpoints after these steps, and the mark that the run then has. */
  async function marked(steps: readonly number[], before: BestMark | null, config: Config) {
    const log = new EventLog(run);
    log.write({
      ...{
        type: 'start',
        format: 2,
        version: '0',
        config: configOf(),
        labels: ['w1.00', 'w0.50'],
        images: 80,
      },
      ...{ stepsPerEpoch: 10, step: 0 },
    });
    for (const [epoch, [full, half]] of shares.entries()) {
      const accuracies = { 'w1.00': { top1: full, top5: 1 }, 'w0.50': { top1: half, top5: 1 } };
      log.write({ type: 'knn', epoch, step: 10 * epoch + 9, seconds: 1, accuracies });
    }
    const tensors = new Map([['a', { dtype: 'float32' as const, shape: [1], data: Float32Array.of(1) }]]);
    for (const step of steps) {
      await writeCheckpoint(run, { config, epoch: step / 10, step, fingerprint: 'f', tensors }, 9);
    }
    await markBest(checkpointFolder(run), before, 9);
    const prepared = { config, runFolder: run, state: { step: 30 } } as unknown as PreparedRun;
    const checkpoints = await Checkpoints.open(prepared, new TrainingPlan(config, 10), () => {});
    await checkpoints.resume(new Measurements(config, 10));
    await checkpoints.close();
    return readBestMark(checkpointFolder(run));
  }

  const mean = { step: 20, criterion: 'mean', accuracy: 0.5 } as const;

  it('the best is the one that it was', async () => {
    expect(await marked([20, 30], mean, configOf())).to.deep.equal(mean);
  });

  it('by another criterion: the best of those that there are', async () => {
    const full = { step: 30, criterion: 'full', accuracy: 0.375 } as const;
    expect(await marked([20, 30], mean, configOf({ criterion: 'full' }))).to.deep.equal(full);
  });

  it('another criterion, by which the same one is the best: its accuracy is that one', async () => {
    const full = { step: 30, criterion: 'full', accuracy: 0.375 } as const;
    const before = { ...full, criterion: 'mean' } as const;
    expect(await marked([30], before, configOf({ criterion: 'full' }))).to.deep.equal(full);
  });

  it('kept from now on: the best of those that there are', async () => {
    expect(await marked([10, 30], null, configOf())).to.deep.equal({ ...mean, step: 30, accuracy: 0.375 });
  });

  it('a monitor that measures otherwise: the one before, until something is measured', async () => {
    expect(await marked([20, 30], mean, configOf({ testLimit: 7 }))).to.deep.equal(mean);
  });

  it('kept no longer, or behind the steps that are done: none', async () => {
    expect(await marked([20, 30], mean, configOf({}, { keepBest: false }))).to.equal(null);
    const later = { ...mean, step: 40 };
    expect(await marked([20, 30, 40], later, configOf({ testLimit: 7 }))).to.equal(null);
  });
});
