import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { UsageError } from '../../src/errors.js';
import { diagnose } from '../../src/evaluation/diagnose.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

describe('a run with held-out images and a label file', function () {
  this.timeout(120_000);
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-heldout-'));
    await writeImages(join(folder, 'images'), 12, 1);
  });
  after(() => removeFolder(folder));

  async function labelFile(labelled: number): Promise<string> {
    const path = join(folder, 'labels.csv');
    const rows = ['blue', 'red'].flatMap((colour) =>
      Array.from({ length: labelled }, (_, i) => `${colour}/${i}.png,${colour}ish`),
    );
    await writeFile(path, rows.join('\n'));
    return path;
  }

  it('trains on the others, monitors what kNN measures, is measured, and resumes with the same split only', async () => {
    const labels = await labelFile(10);
    const config = tinyConfig(join(folder, 'images'), {
      data: { validation: 4, labels },
      epochs: 2,
      monitor: { kind: 'knn', everyEpochs: 1, neighbours: 3 },
    });
    const runFolder = join(folder, 'run');
    const events: TrainingEvent[] = [];
    const onEvent = (event: TrainingEvent) => void events.push(event);
    expect(await pretrain({ config, runFolder, onEvent })).to.equal('done');
    expect(events.flatMap((event) => (event.type === 'start' ? [event.images] : []))).to.deep.equal([20]);
    const { widths, trainImages, testImages } = await evaluateKnn(runFolder, { k: 3 });
    expect([trainImages, testImages]).to.deep.equal([16, 4]);
    const monitored = events.findLast((event) => event.type === 'knn')!.accuracies;
    expect(monitored).to.deep.equal(Object.fromEntries(widths.map(({ label, trained }) => [label, trained])));
    expect(await diagnose(runFolder, { batches: 1 })).to.include({ source: config.data.source });

    const resumed = (data: Partial<typeof config.data>) =>
      pretrain({ config: { ...config, data: { ...config.data, ...data } }, runFolder, resume: true });
    expect(await resumed({})).to.equal('done');
    const share = await rejection(resumed({ validation: 0.25 }));
    expect(share).to.be.instanceOf(UsageError);
    expect(share.message).to.match(/is of another config: data\.validation is 4 there, 0\.25 here$/);
    await labelFile(4);
    const other = await rejection(resumed({}));
    expect(other).to.be.instanceOf(UsageError);
    expect(other.message).to.match(
      /was trained on other images .*, or the labels in .*labels\.csv have changed, by which data\.validation chooses$/,
    );
  });
});
