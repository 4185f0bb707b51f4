import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { ConfigInput } from '../../src/config/schema.js';
import type { ImageSource } from '../../src/data/source.js';
import { openTrainingImages } from '../../src/data/trainingImages.js';
import { UsageError } from '../../src/errors.js';
import { evaluateFinetune } from '../../src/evaluation/evaluateFinetune.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { openKnnMonitor } from '../../src/evaluation/knnMonitor.js';
import { openLabelledImages } from '../../src/evaluation/labelledImages.js';
import { openTrainedRun } from '../../src/evaluation/trainedRun.js';
import { openDemoImages } from '../../src/demo/demoImages.js';
import { calibrationImages } from '../../src/export/converter.js';
import { exportWithin } from '../../src/export/exportWithin.js';
import { queryNeighbours } from '../../src/report/neighbours.js';
import { writeCheckpoint } from '../../src/training/checkpoint.js';
import { openLoader } from '../../src/training/openLoader.js';
import { rejection } from '../support/rejection.js';
import { makeTinyRun, tinyConfig, type TinyRun } from './tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

describe('images that a run holds out', function () {
  this.timeout(60_000);
  let run: TinyRun;
  before(async () => (run = await makeTinyRun()));
  after(() => removeFolder(dirname(run.folder)));

  /** A run folder with one checkpoint of this config. */
  async function runOf(name: string, data: ConfigInput['data']): Promise<string> {
    const folder = join(dirname(run.folder), name);
    const config = tinyConfig({ data: { source: run.train, ...data } });
    const content = { config, epoch: 1, step: 3, fingerprint: '', tensors: run.weights };
    await writeCheckpoint(folder, content, 1);
    return folder;
  }

  /** Labels of the images by the number in their names: small ones and large ones, and none of the others. */
  async function labelFile(name: string, labelled: number): Promise<string> {
    const path = join(dirname(run.folder), name);
    const rows = ['blue', 'red'].flatMap((colour) =>
      Array.from({ length: labelled }, (_, i) => `${colour}/${i}.png,${colour === 'red' ? 'warm' : 'cold'}`),
    );
    await writeFile(path, rows.join('\n'));
    return path;
  }

  it('kNN, probe and fine-tuning of a folder classify them; the neighbours in the report are of training images', async () => {
    const folder = await runOf('held', { validation: '25%' });
    const counts = {
      source: run.train,
      testSource: run.train,
      heldOut: true,
      trainImages: 18,
      testImages: 6,
    };
    const knn = await evaluateKnn(folder, { k: 3 });
    expect(knn).to.include(counts);
    expect(knn.widths.map(({ trained }) => trained.top1)).to.deep.equal([1, 1]);
    expect(await evaluateProbe(folder, { protocol: 'ridge' })).to.include(counts);
    const finetuned = await evaluateFinetune(folder, { labels: 1, epochs: 1, widths: [0.5] });
    expect(finetuned).to.include(counts);
    const queries = await queryNeighbours(folder, knn);
    expect(queries.map(({ className }) => className)).to.deep.equal(['blue', 'red']);
    const limited = await evaluateKnn(folder, { k: 3, limit: 5, testLimit: 4 });
    expect(limited).to.include({ trainImages: 5, testImages: 4 });
    const other = await evaluateKnn(folder, { k: 3, testSource: run.test });
    expect(other).to.include({ testSource: run.test, trainImages: 18, testImages: 12 });
  });

  it('the monitor has the images of kNN and gives its accuracies', async () => {
    const monitored = tinyConfig({
      data: { source: run.train, validation: 6 },
      monitor: { kind: 'knn', neighbours: 3 },
    });
    const folder = await runOf('monitored', { validation: 6 });
    const { widths } = await evaluateKnn(folder, { k: 3 });
    const expected = Object.fromEntries(widths.map(({ label, trained }) => [label, trained]));
    for (const images of [undefined, await openTrainingImages(monitored)]) {
      const monitor = await openKnnMonitor(monitored, { ...(images && { images }) });
      expect(await monitor.evaluate(run.weights)).to.deep.equal(expected);
      await monitor.close();
    }
  });

  it('no image of training is one of them: what the loader renders and what is classified', async () => {
    const config = tinyConfig({ data: { source: run.train, validation: 0.25, limit: 16 } });
    const { train, test } = await openLabelledImages(config, {});
    const source = await openTrainingImages(config);
    const loader = await openLoader(config, { source });
    const seen = new Set<string>();
    for (let epoch = 0; epoch < 3; epoch++) {
      for (let step = 0; step < loader.stepsPerEpoch; step++) {
        for (const index of (await loader.batch(epoch, step)).indices) seen.add(source.nameOf(index));
      }
    }
    await loader.close();
    const names = (images: typeof train) =>
      Array.from({ length: images.length }, (_, index) => images.nameOf(index));
    expect(seen).to.deep.equal(new Set(names(train)));
    expect(names(test).filter((name) => seen.has(name))).to.deep.equal([]);
    expect([train.length, test.length]).to.deep.equal([16, 6]);
  });

  it('a demo finds neighbours among training images, for samples that are held out; so does a conversion calibrate', async () => {
    const config = tinyConfig({ data: { source: run.train, validation: 0.25 } });
    const { heldOut } = await openTrainingImages(config);
    const names = (images: ImageSource) =>
      Array.from({ length: images.length }, (_, index) => images.nameOf(index));
    const { bank, samples } = await openDemoImages(config, undefined, 0, {});
    const held = names(heldOut!);
    expect(bank.length).to.equal(18);
    expect(names(bank).filter((name) => held.includes(name))).to.deep.equal([]);
    expect(samples.length).to.equal(2);
    expect(held).to.include.members(names(samples));
    const trained = await openTrainedRun(await runOf('calibrated', { validation: 0.25 }));
    const { batches } = await calibrationImages(trained, { images: 100 });
    expect(batches.reduce((sum, { shape }) => sum + shape[0]!, 0)).to.equal(18);
  });

  it('cifar10: the test split is classified in the end, by training images', async () => {
    const config = tinyConfig({ data: { source: 'cifar10', validation: 0.1 } });
    const { train, test, heldOut } = await openLabelledImages(config, {});
    expect([train.length, test.length, heldOut]).to.deep.equal([45_000, 10_000, undefined]);
    const validation = await openLabelledImages(config, { heldOut: true });
    expect([validation.train.length, validation.test.length]).to.deep.equal([45_000, 5000]);
    const both = await rejection(openLabelledImages(config, { heldOut: true, testSource: run.test }));
    expect(both).to.be.instanceOf(UsageError);
    expect(both.message).to.match(
      /^held-out images of cifar10 are asked for, and test images of .*test; accepted/,
    );
    for (const error of [
      await rejection(openLabelledImages(config, { heldOut: true, source: 'mnist' })),
      await rejection(openLabelledImages(run.config, { heldOut: true })),
    ]) {
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(/the run holds none out \(data\.validation\); accepted/);
    }
  });

  it('cifar10: an export by budget measures them where kNN did, and says so', async () => {
    const folder = await runOf('chosen', { source: 'cifar10', validation: 40, limit: 48 });
    await evaluateKnn(folder, { heldOut: true });
    const { candidates } = await exportWithin(
      folder,
      { bytes: 1e9 },
      { widths: [0.5], precision: 'float16' },
    );
    expect(candidates.models.map(({ accuracy }) => accuracy.knn)).to.have.lengthOf(1);
    expect(candidates.models[0]!.accuracy.knn).to.include({ source: 'cifar10', images: 40, heldOut: true });
    const card = await readFile(join(folder, 'export', 'README.md'), 'utf8');
    expect(card).to.include('40 held-out images of cifar10').and.not.include('test image');
  });

  it('labels of a file: kNN among the images that have one', async () => {
    const labels = await labelFile('labels.csv', 8);
    const folder = await runOf('labelled', { validation: 0.25, labels });
    const notices: string[] = [];
    const knn = await evaluateKnn(folder, { k: 3, onNotice: (line) => notices.push(line) });
    expect(knn).to.include({ trainImages: 12, testImages: 4 });
    expect(knn.widths[0]!.trained.top1).to.equal(1);
    expect(notices).to.deep.equal([
      `${labels}: 8 of 24 images without a label`,
      `${run.train}: 4 of 24 images held out of training (data.validation)`,
    ]);

    const folders = await rejection(evaluateKnn(folder, { testSource: run.test }));
    expect(folders.message).to.match(
      /^the classes of .*test \(blue, red\) are not those of .*train \(cold, warm\)/,
    );
    const testLabels = await labelFile('test.csv', 5);
    const tested = await evaluateKnn(folder, { k: 3, testSource: run.test, testLabels });
    expect(tested).to.include({ trainImages: 12, testImages: 10 });
    const sourceLabels = await labelFile('source.csv', 4);
    expect(await evaluateKnn(folder, { k: 3, source: run.train, sourceLabels })).to.include({
      trainImages: 6,
      testImages: 2,
    });
  });

  it('a folder without test images: both ways out are named', async () => {
    const error = await rejection(evaluateKnn(run.folder));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/no test images of its own; accepted: .*\(--test-source\), or a run with data\.validation/); // prettier-ignore
  });
});
