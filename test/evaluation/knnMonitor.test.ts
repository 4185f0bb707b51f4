import { rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import { openSource, subset } from '../../src/data/source.js';
import { openTrainingImages } from '../../src/data/trainingImages.js';
import { UsageError } from '../../src/errors.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { extractFeatures, FrozenEncoder } from '../../src/evaluation/features.js';
import { knnAccuracy } from '../../src/evaluation/knn.js';
import { openKnnMonitor } from '../../src/evaluation/knnMonitor.js';
import { labelled } from '../../src/evaluation/labelledImages.js';
import { networkOf } from '../../src/methods/index.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { writeCheckpoint } from '../../src/training/checkpoint.js';
import { rejection } from '../support/rejection.js';
import { makeTinyRun, tinyConfig, trainedWeights, writeImages, type TinyRun } from './tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

type Monitor = Extract<NonNullable<ConfigInput['monitor']>, { kind: 'knn' }>;

describe('openKnnMonitor', function () {
  this.timeout(60_000);
  let run: TinyRun;
  before(async () => (run = await makeTinyRun()));
  after(() => removeFolder(dirname(run.folder)));

  const configOf = (source: string, monitor: Partial<Monitor> = {}): Config =>
    tinyConfig({ data: { source }, monitor: { kind: 'knn', neighbours: 3, ...monitor } });

  async function evaluate(config: Config, weights: ReadonlyMap<string, TensorData>) {
    const monitor = await openKnnMonitor(config);
    try {
      return await monitor.evaluate(weights);
    } finally {
      await monitor.close();
    }
  }

  it('cifar10, limits of both splits: what evaluateKnn says of the same images and weights', async () => {
    const config = configOf('cifar10', { trainLimit: 60, testLimit: 40 });
    const weights = trainedWeights(networkOf(config), 4);
    const folder = join(dirname(run.folder), 'cifar10');
    await writeCheckpoint(folder, { config, epoch: 1, step: 3, fingerprint: '', tensors: weights }, 1);
    const { widths } = await evaluateKnn(folder, { limit: 60, testLimit: 40, k: 3 });
    const expected = Object.fromEntries(widths.map(({ label, trained }) => [label, trained]));
    expect(await evaluate(config, weights)).to.deep.equal(expected);
  });

  it('a folder: every fifth image is classified by the others', async () => {
    const config = configOf(run.train);
    const found = await evaluate(config, run.weights);
    const source = labelled(await openSource(run.train));
    const all = Uint32Array.from({ length: 24 }, (_, i) => i);
    const [train, test] = [0, 1].map((isTest) =>
      labelled(
        subset(
          source,
          all.filter((i) => Number(i % 5 === 4) === isTest),
        ),
      ),
    ) as [ReturnType<typeof labelled>, ReturnType<typeof labelled>];
    expect([train.length, test.length]).to.deep.equal([20, 4]);
    for (const [label, width] of [
      ['w1.00', 1],
      ['w0.50', 0.5],
    ] as const) {
      const encoder = await FrozenEncoder.open(run.network, config, width, run.weights);
      const [bank] = await extractFeatures(train, config, [encoder]);
      const [queries] = await extractFeatures(test, config, [encoder]);
      await encoder.close();
      const expected = await knnAccuracy(
        { ...bank!, labels: train.labels },
        { ...queries!, labels: test.labels },
        2,
        { k: 3, temperature: 0.1 },
        config.runtime,
      );
      expect(found[label]).to.deep.equal(expected);
    }
  });

  it('images that are open are not opened again, unless training has only some of them', async () => {
    const images = await openTrainingImages(configOf(run.train));
    const moved = `${run.train}-moved`;
    await rename(run.train, moved);
    try {
      const config = configOf(run.train);
      await (await openKnnMonitor(config, { images })).close();
      const limited = { ...config, data: { ...config.data, limit: 8 } };
      const error = await rejection(openKnnMonitor(limited, { images }));
      expect(error.message).to.match(/does not exist/);
    } finally {
      await rename(moved, run.train);
    }
  });

  it('evaluates any number of weights; reads each tensor of the encoder once and changes none', async () => {
    const config = configOf('cifar10', { trainLimit: 60, testLimit: 40 });
    const network = networkOf(config);
    const monitor = await openKnnMonitor(config);
    const reads = new Map<string, number>();
    const watched = (seed: number) =>
      new Map(
        [...trainedWeights(network, seed)].map(([name, { dtype, shape, data }]) => [
          name,
          {
            dtype,
            shape,
            get data() {
              reads.set(name, (reads.get(name) ?? 0) + 1);
              return data;
            },
          },
        ]),
      );
    const first = await monitor.evaluate(watched(4));
    expect(new Set(reads.values())).to.deep.equal(new Set([1]));
    expect([...reads.keys()].every((name) => name.startsWith('encoder.'))).to.equal(true);
    const weights = watched(4);
    expect(await monitor.evaluate(watched(5))).to.not.deep.equal(first);
    expect(await monitor.evaluate(weights)).to.deep.equal(first);
    const untouched = trainedWeights(network, 4);
    for (const [name, { data }] of weights) expect(data).to.deep.equal(untouched.get(name)!.data);
    await monitor.close();
  });

  it('images without labels, and too few of them: UsageError at once', async () => {
    const flat = await rejection(openKnnMonitor(configOf(run.train, { source: join(run.train, 'red') })));
    expect(flat).to.be.instanceOf(UsageError);
    expect(flat.message).to.match(/^the kNN monitor of .*red: its images have no labels; accepted: cifar10/);

    const four = join(dirname(run.folder), 'four');
    await writeImages(four, 2, 3);
    const few = await rejection(openKnnMonitor(configOf(four)));
    expect(few).to.be.instanceOf(UsageError);
    expect(few.message).to.match(/four: 4 labelled images; accepted: at least 5$/);
  });
});
