import { readFile, rename, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { readClassifiers } from '../../src/evaluation/classifiers.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { ridgeLambdas } from '../../src/evaluation/ridge.js';
import { sha256File } from '../../src/onnx/hash.js';
import { writeCheckpoint } from '../../src/training/checkpoint.js';
import { makeTinyRun, trainedWeights, writeImages, type TinyRun } from './tinyRun.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('evaluation of a run: ResNet-20, widths 1 and 0.5, red and blue images', function () {
  this.timeout(60_000);
  let run: TinyRun;
  beforeEach(async () => (run = await makeTinyRun()));
  afterEach(() => removeFolder(dirname(run.folder)));

  const written = async (kind: string) =>
    JSON.parse(await readFile(join(run.folder, 'results', `${kind}.json`), 'utf8')) as unknown;
  /** What was computed, as opposed to found in the cache. */
  async function messages(evaluate: (onProgress: (message: string) => void) => Promise<unknown>) {
    const lines: string[] = [];
    await evaluate((line) => lines.push(line));
    return lines.filter((line) => /^(features|calibrating)/.test(line));
  }

  it('kNN with baseline: both encoders tell red from blue at both widths; the result is the file', async () => {
    const result = await evaluateKnn(run.folder, { testSource: run.test, baseline: true, k: 5 });
    const { k, source, testSource, trainImages, testImages, checkpoint, widths } = result;
    expect({ k, source, testSource, trainImages, testImages, checkpoint }).to.deep.equal({
      k: 5,
      source: run.train,
      testSource: run.test,
      trainImages: 24,
      testImages: 12,
      checkpoint: 'checkpoints/step-00000003.safetensors',
    });
    const perfect = { top1: 1, top5: 1 };
    expect(widths).to.deep.equal([
      { label: 'w1.00', width: 1, trained: perfect, random: perfect },
      { label: 'w0.50', width: 0.5, trained: perfect, random: perfect },
    ]);
    expect(await written('knn')).to.deep.equal(result);
  });

  it('classifiers of which a number has changed since: one line, no export of them', async () => {
    await evaluateProbe(run.folder, { testSource: run.test, epochs: 1 });
    const path = join(run.folder, 'results', 'probe.safetensors');
    const bytes = await readFile(path);
    bytes[bytes.length - 2]! ^= 1;
    await writeFile(path, bytes);
    expect(await rejection(readClassifiers(run.folder)))
      .to.be.instanceOf(SlimclrError)
      .with.property('message')
      .that.includes('probe.safetensors is damaged: its SHA-256 is not the recorded one');
  });

  it('probe: tells red from blue; its classifiers carry the checkpoint and the classes', async () => {
    const result = await evaluateProbe(run.folder, { testSource: run.test, epochs: 20 });
    for (const { trained, random } of result.widths) {
      expect(trained.top1).to.equal(1);
      expect(random).to.equal(undefined);
    }
    expect(await written('probe')).to.deep.equal(result);
    const { checkpoint, classes, classifiers } = await readClassifiers(run.folder);
    expect(checkpoint).to.equal(await sha256File(run.checkpoint));
    expect(classes).to.deep.equal(['blue', 'red']);
    expect([...classifiers].map(([label, { channels }]) => [label, channels])).to.deep.equal([
      ['w1.00', 64],
      ['w0.50', 32],
    ]);
  });

  for (const [protocol, settings] of [
    ['ridge', {}],
    ['shared', { epochs: 20 }],
    ['augmented', { epochs: 60, batchSize: 8 }],
  ] as const) {
    it(`probe, ${protocol}: tells red from blue, also with the random encoder; files of its own`, async () => {
      const options = { testSource: run.test, protocol, baseline: true, ...settings };
      const result = await evaluateProbe(run.folder, options);
      expect(result).to.include({ protocol, trainImages: 24, testImages: 12 });
      for (const { label, trained, random } of result.widths) {
        expect([trained.top1, random!.top1], label).to.deep.equal([1, 1]);
      }
      expect(await written(`probe-${protocol}`)).to.deep.equal(result);
      const { classifiers } = await readClassifiers(run.folder, protocol);
      expect([...classifiers.keys()]).to.deep.equal(['w1.00', 'w0.50']);
      expect((await rejection(readClassifiers(run.folder))).message).to.contain('no linear probe');
    });
  }

  it('probe, ridge: lambdas of the grid, one a width; settings of training are refused', async () => {
    const options = { testSource: run.test, protocol: 'ridge' } as const;
    const result = await evaluateProbe(run.folder, options);
    if (result.protocol !== 'ridge') throw new Error(`protocol ${result.protocol}`);
    expect(result.lambdas).to.have.length(2);
    expect(ridgeLambdas).to.include.members([...result.lambdas]);
    const error = await rejection(evaluateProbe(run.folder, { ...options, batchSize: 8 }));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/ridge .*no batchSize$/);
  });

  it('probe, augmented: the rate is 60 at a batch of 1024 unless told', async () => {
    const options = { testSource: run.test, protocol: 'augmented', epochs: 1 } as const;
    const rate = async (settings: { batchSize?: number; learningRate?: number }) => {
      const result = await evaluateProbe(run.folder, { ...options, ...settings });
      return result.protocol === 'ridge' ? NaN : result.learningRate;
    };
    expect(await rate({})).to.equal((60 * 24) / 1024);
    expect(await rate({ batchSize: 16 })).to.equal((60 * 16) / 1024);
    expect(await rate({ learningRate: 3 })).to.equal(3);
  });

  it('limits: that many images of each split', async () => {
    const options = { testSource: run.test, limit: 10, testLimit: 7 };
    const { trainImages, testImages } = await evaluateKnn(run.folder, options);
    expect([trainImages, testImages]).to.deep.equal([10, 7]);
  });

  it('cache: the probe computes no feature after kNN; a damaged file is computed again, other weights are', async () => {
    const options = { testSource: run.test, epochs: 1, baseline: true };
    expect(await messages((onProgress) => evaluateKnn(run.folder, { ...options, onProgress }))).to.not.be
      .empty;
    const probe = () => messages((onProgress) => evaluateProbe(run.folder, { ...options, onProgress }));
    expect(await probe()).to.be.empty;

    await truncate(join(run.folder, 'features', 'trained.test.w0.50.safetensors'), 300);
    const flipped = join(run.folder, 'features', 'trained.train.w1.00.safetensors');
    const bytes = await readFile(flipped);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(flipped, bytes);
    const again = await probe();
    expect(again.some((line) => line.startsWith('features of test images, trained'))).to.be.true;
    expect(again.some((line) => line.startsWith('features of train images, trained'))).to.be.true;
    expect(again.some((line) => line.includes('random'))).to.be.false;

    const { config, network, folder } = run;
    const tensors = trainedWeights(network, 7);
    await writeCheckpoint(folder, { config, epoch: 2, step: 6, fingerprint: 'images', tensors }, 2);
    const retrained = await probe();
    expect(retrained).to.not.be.empty;
    expect(retrained.some((line) => line.includes('random'))).to.be.false;
  });

  it('a folder that is gone, without test images, without classes, with other classes: UsageError', async () => {
    const alone = await rejection(evaluateKnn(run.folder));
    expect(alone).to.be.instanceOf(UsageError);
    expect(alone.message).to.contain('no test images');

    const gone = join(dirname(run.folder), 'gone');
    await rename(run.train, gone);
    const moved = await rejection(evaluateKnn(run.folder, { testSource: run.test }));
    expect(moved).to.be.instanceOf(UsageError);
    expect(moved.message).to.match(/images of the run cannot be opened .*; accepted instead: .*--source/);
    const { source } = await evaluateKnn(run.folder, { source: gone, testSource: run.test });
    expect(source).to.equal(gone);
    await rename(gone, run.train);

    const flat = join(run.train, 'red');
    const unlabelled = await rejection(evaluateKnn(run.folder, { source: flat, testSource: run.test }));
    expect(unlabelled).to.be.instanceOf(UsageError);
    expect(unlabelled.message).to.contain('no labels');

    const other = join(dirname(run.folder), 'other');
    await writeImages(other, 1, 3);
    await rename(join(other, 'red'), join(other, 'green'));
    const error = await rejection(evaluateKnn(run.folder, { testSource: other }));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.contain('blue, green').and.to.contain('blue, red');
  });
});
