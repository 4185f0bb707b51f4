import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { openSource } from '../../src/data/source.js';
import { SlimclrError } from '../../src/errors.js';
import { AccuracyCounter } from '../../src/evaluation/accuracy.js';
import { evaluateFinetune } from '../../src/evaluation/evaluateFinetune.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { FeatureCache } from '../../src/evaluation/featureCache.js';
import { knnAccuracy } from '../../src/evaluation/knn.js';
import { openKnnMonitor } from '../../src/evaluation/knnMonitor.js';
import { solveRidge } from '../../src/evaluation/ridge.js';
import { exportRun } from '../../src/export/exportRun.js';
import { readSafetensors } from '../../src/onnx/safetensors.js';
import type { Weights } from '../../src/programs/bindWeights.js';
import { queryNeighbours } from '../../src/report/neighbours.js';
import { writeCheckpoint } from '../../src/training/checkpoint.js';
import { rejection } from '../support/rejection.js';
import { makeTinyRun, tinyConfig, type TinyRun } from './tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

const runtime = { provider: 'cpu', threads: 1 } as const;

/** The weights, with one number of the narrow width's first batch norm replaced. */
function broken(weights: Weights, value: number): Weights {
  const name = 'encoder.bn1.w0.50.beta';
  const { data, ...tensor } = weights.get(name)!;
  const values = Float32Array.from(data as Float32Array);
  values[3] = value;
  return new Map([...weights, [name, { ...tensor, data: values }]]);
}

describe('numbers that are not finite end every evaluation', function () {
  this.timeout(60_000);
  let run: TinyRun;
  before(async () => {
    run = await makeTinyRun();
    const { config, folder, weights } = run;
    // Written past the checks of training, as an older version could.
    const tensors = broken(weights, NaN);
    await writeCheckpoint(folder, { config, epoch: 2, step: 6, fingerprint: 'images', tensors }, 2);
  });
  after(() => removeFolder(dirname(run.folder)));

  const narrow = (what = 'features') =>
    new RegExp(
      `^the ${what} of width 0.5 for (blue|red)/\\d+\\.png of .*(train|test) are not finite \\(NaN\\)$`,
    );
  async function expectRefusal(evaluation: Promise<unknown>, message = narrow()) {
    const error = await rejection(evaluation);
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.match(message);
  }

  it('kNN', () => expectRefusal(evaluateKnn(run.folder, { testSource: run.test })));
  for (const protocol of ['features', 'ridge', 'shared', 'augmented'] as const) {
    it(`probe, ${protocol}`, () =>
      expectRefusal(evaluateProbe(run.folder, { testSource: run.test, protocol })));
  }
  it('export', () => expectRefusal(exportRun(run.folder)));
  it('export of a width whose numbers are finite: works', async () => {
    expect((await exportRun(run.folder, { widths: [1] })).models).to.have.lengthOf(1);
  });
  it('export with the head', () =>
    expectRefusal(exportRun(run.folder, { head: true, widths: [0.5] }), narrow('(features|embedding)')));
  it('fine-tuning: its loss says so', () =>
    expectRefusal(
      evaluateFinetune(run.folder, { testSource: run.test, labels: 1, epochs: 1 }),
      /^fine-tuning of width 0.5 diverged: its loss is NaN/,
    ));

  it('the monitor', async () => {
    const config = tinyConfig({ data: { source: run.train }, monitor: { kind: 'knn', neighbours: 3 } });
    const monitor = await openKnnMonitor(config);
    await expectRefusal(monitor.evaluate(broken(run.weights, NaN)));
    await monitor.close();
  });

  it('features that an older version cached: kNN and the neighbours of the report', async () => {
    const options = { testSource: run.test, checkpoint: run.checkpoint };
    const knn = await evaluateKnn(run.folder, options);
    const slot = { encoder: 'trained', split: 'train', label: 'w0.50' } as const;
    const path = join(run.folder, 'features', 'trained.train.w0.50.safetensors');
    const { key } = (await readSafetensors(path)).metadata;
    const cache = new FeatureCache(run.folder);
    const features = (await cache.read(slot, key!))!;
    features.data[7 * features.channels + 2] = NaN;
    await cache.write(slot, key!, features);
    const source = await openSource(run.train);
    const message = new RegExp(
      `^the features of width 0.5 for ${source.nameOf(7)} of .*train are not finite`,
    );
    await expectRefusal(evaluateKnn(run.folder, options), message);
    await expectRefusal(queryNeighbours(run.folder, knn), message);
  });
});

describe('numbers that are not finite, given to the parts', () => {
  const features = (...data: number[]) => ({
    count: 4,
    channels: 2,
    data: Float32Array.of(...data),
    labels: Int32Array.of(0, 1, 0, 1),
  });
  const good = features(0, 1, 1, 0, 0.1, 1, 1, 0.1);
  const bad = features(0, 1, 1, 0, 0.1, NaN, 1, 0.1);

  it('kNN with the labels exchanged, NaN in the bank or in a query: not 100 % but a SlimclrError', async () => {
    const settings = { k: 1, temperature: 0.1 };
    for (const [bank, queries] of [
      [good, bad],
      [bad, good],
    ] as const) {
      const error = await rejection(knnAccuracy(bank, queries, 2, settings, runtime));
      expect(error).to.be.instanceOf(SlimclrError);
      expect(error.message).to.equal('the features for image 2 are not finite (NaN)');
    }
  });

  it('kNN at a temperature where exp(s / T) is infinite: the nearest neighbour wins', async () => {
    const swapped = { ...good, labels: Int32Array.of(1, 0, 1, 0) };
    const settings = { k: 4, temperature: 1e-3 };
    expect((await knnAccuracy(good, good, 2, settings, runtime)).top1).to.equal(1);
    expect((await knnAccuracy(good, swapped, 2, settings, runtime)).top1).to.equal(0);
  });

  it('ridge regression', async () => {
    const settings = { seed: 0, lambdas: [1e-3] };
    expect((await rejection(solveRidge(bad, 2, settings, runtime))).message).to.match(
      /^the features for image 2/,
    );
  });

  it('scores of any rank', () => {
    for (const scores of [
      [NaN, 1],
      [1, NaN],
      [Infinity, 1],
    ]) {
      expect(() => new AccuracyCounter('logits').add(scores, 0, 5)).to.throw(
        SlimclrError,
        /^the logits for image 5 are not finite/,
      );
    }
  });
});
