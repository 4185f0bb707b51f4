import { expect } from 'chai';
import { knnAccuracy, type LabelledFeatures } from '../../src/evaluation/knn.js';
import type { Accuracy } from '../../src/evaluation/results.js';
import { UsageError } from '../../src/errors.js';
import { Random } from '../../src/random.js';
import { rejection } from '../support/rejection.js';

const runtime = { provider: 'cpu', threads: 1 } as const;

/** Rows around one random centre a class. */
function clusters(seed: number, count: number, channels: number, classes: number): LabelledFeatures {
  const centres = new Random(0);
  const centre = Array.from({ length: classes * channels }, () => centres.normal());
  const random = new Random(seed);
  const labels = Int32Array.from({ length: count }, () => random.integer(classes));
  const data = new Float32Array(count * channels);
  for (let i = 0; i < data.length; i++) {
    const label = labels[Math.floor(i / channels)]!;
    data[i] = centre[label * channels + (i % channels)]! + 2 * random.normal();
  }
  return { count, channels, data, labels };
}

/** Wu et al., 2018, section 3.4, word by word: similarity, neighbours, votes, prediction. */
function naive(
  train: LabelledFeatures,
  test: LabelledFeatures,
  classes: number,
  k: number,
  temperature: number,
): Accuracy {
  const row = ({ data, channels }: LabelledFeatures, i: number) =>
    Array.from(data.subarray(i * channels, (i + 1) * channels));
  const dot = (a: number[], b: number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
  let [first, five] = [0, 0];
  for (let n = 0; n < test.count; n++) {
    const query = row(test, n);
    const neighbours = Array.from({ length: train.count }, (_, i) => {
      const other = row(train, i);
      return { i, s: dot(query, other) / Math.sqrt(dot(query, query) * dot(other, other)) };
    })
      .sort((a, b) => b.s - a.s)
      .slice(0, k);
    const votes = Array.from({ length: classes }, (_, c) => ({ c, total: 0 }));
    for (const { i, s } of neighbours) votes[train.labels[i]!]!.total += Math.exp(s / temperature);
    const ranking = votes.sort((a, b) => b.total - a.total).map(({ c }) => c);
    if (ranking[0] === test.labels[n]) first++;
    if (ranking.slice(0, 5).includes(test.labels[n]!)) five++;
  }
  return { top1: first / test.count, top5: five / test.count };
}

describe('knnAccuracy', () => {
  const train = clusters(1, 500, 16, 8);
  const test = clusters(2, 300, 16, 8);

  for (const [k, temperature] of [
    [1, 0.1],
    [20, 0.07],
    [200, 0.1],
  ] as const) {
    // prettier-ignore
    it(`k ${k}, T ${temperature}, 500 x 300 images, 8 classes: equals the naive loops`, async () => {
      const accuracy = await knnAccuracy(train, test, 8, { k, temperature }, runtime);
      expect(accuracy).to.deep.equal(naive(train, test, 8, k, temperature));
      expect(accuracy.top1).to.be.within(0.3, 0.95);
    });
  }

  it('k larger than the training set: every image votes', async () => {
    const accuracy = await knnAccuracy(train, test, 8, { k: 10_000, temperature: 0.1 }, runtime);
    expect(accuracy).to.deep.equal(naive(train, test, 8, 500, 0.1));
  });

  it('scale of the features does not matter', async () => {
    const scaled = { ...test, data: test.data.map((x, i) => x * (1 + Math.floor(i / 16))) };
    const settings = { k: 20, temperature: 0.1 };
    expect(await knnAccuracy(train, scaled, 8, settings, runtime)).to.deep.equal(
      await knnAccuracy(train, test, 8, settings, runtime),
    );
  });

  it('equally similar images: those of lower index are the neighbours', async () => {
    const data = new Float32Array(100).fill(1);
    const twins = { count: 100, channels: 1, data, labels: Int32Array.from(data, (_, i) => (i < 3 ? 1 : 0)) };
    const query = { count: 1, channels: 1, data: Float32Array.of(2), labels: Int32Array.of(1) };
    const accuracy = await knnAccuracy(twins, query, 2, { k: 5, temperature: 0.1 }, runtime);
    expect(accuracy.top1).to.equal(1);
  });

  it('k 0: UsageError', async () => {
    const error = await rejection(knnAccuracy(train, test, 8, { k: 0, temperature: 0.1 }, runtime));
    expect(error).to.be.instanceOf(UsageError);
  });
});
