import { expect } from 'chai';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema, type Config, type ConfigInput } from '../../src/config/schema.js';
import { bestCheckpoint, listCheckpoints } from '../../src/training/checkpoint.js';
import type { LoggedEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

describe('checkpoints and the monitor', function () {
  this.timeout(120_000);
  let folder: string;
  let source: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-early-'));
    source = join(folder, 'images');
    await writeImages(source, 24, 1);
  });
  after(() => removeFolder(folder));

  const config = (monitor: object, checkpoint: ConfigInput['checkpoint'] = {}): Config => ({
    ...tinyConfig(source),
    ...configSchema.pick({ checkpoint: true, monitor: true }).parse({
      checkpoint,
      monitor: { kind: 'knn', everyEpochs: 1, neighbours: 5, ...monitor },
    }),
  });
  const eventsOf = (run: string) =>
    readFileSync(join(run, 'events.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as LoggedEvent);

  it('no improvement: ends early and says why, the best is kept; resumed it ends again, or goes on to the same weights', async () => {
    const run = join(folder, 'early');
    // Six steps an epoch: nothing is better than the first measurement by that much.
    const never = config({ patience: 1, minDelta: 1 }, { everyEpochs: 0, everySteps: 4, keep: 1 });
    expect(await pretrain({ config: never, runFolder: run })).to.equal('early');
    const events = eventsOf(run);
    const stop = events.at(-1)!;
    expect(stop).to.include({ type: 'stop', reason: 'early', step: 12 });
    expect(stop)
      .to.have.property('message')
      .that.matches(/after step 6 by more than 100 points in 1 measurem/);
    const measured = events.filter((event) => event.type === 'knn');
    expect(measured.map(({ step }) => step)).to.deep.equal([5, 11]);
    const means = measured.map(
      ({ accuracies }) => (accuracies['w1.00']!.top1 + accuracies['w0.50']!.top1) / 2,
    );
    const best = means[1]! > means[0]! ? 12 : 6;
    expect(await bestCheckpoint(run)).to.deep.include({
      step: best,
      criterion: 'mean',
      accuracy: Math.max(...means),
    });
    expect((await listCheckpoints(run)).map(({ step }) => step)).to.deep.equal([...new Set([best, 12])]);
    const saved = events.flatMap((event) => (event.type === 'checkpoint' ? [event.step] : []));
    expect(new Set(saved)).to.include.members([6, 12]);

    expect(await pretrain({ config: never, runFolder: run, resume: true })).to.equal('early');
    expect(eventsOf(run).filter(({ type }) => type === 'step').length).to.equal(12);
    const on = config({}, { everyEpochs: 0, keep: 1 });
    expect(await pretrain({ config: on, runFolder: run, resume: true })).to.equal('done');
    const undisturbed = join(folder, 'undisturbed');
    expect(await pretrain({ config: tinyConfig(source), runFolder: undisturbed })).to.equal('done');
    await expectSameWeights(run, undisturbed);
  });
});
