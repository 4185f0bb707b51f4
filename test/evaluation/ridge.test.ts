import { expect } from 'chai';
import { UsageError } from '../../src/errors.js';
import { AccuracyCounter } from '../../src/evaluation/accuracy.js';
import type { LabelledFeatures } from '../../src/evaluation/knn.js';
import { classify } from '../../src/evaluation/linearClassifier.js';
import { ridgeLambdas, solveRidge } from '../../src/evaluation/ridge.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { rejection } from '../support/rejection.js';

const runtime = { provider: 'cpu', threads: 1 } as const;
const seed = 3;

/** Class c is `distance` further along axis c, every axis of another scale and offset, noise within 1. */
function clusters(count: number, channels: number, classes: number, distance: number): LabelledFeatures {
  const random = new Random(count, channels);
  const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
  const data = new Float32Array(count * channels);
  for (let i = 0; i < data.length; i++) {
    const [image, axis] = [Math.floor(i / channels), i % channels];
    data[i] = 10 ** (axis - 2) * (7 + (labels[image] === axis ? distance : 0) + random.uniform(-1, 1));
  }
  return { count, channels, data, labels };
}

/** Solves a square system by elimination with pivots; rows of `matrix` carry the right sides at their end. */
function eliminate(matrix: number[][]): number[][] {
  const n = matrix.length;
  for (let i = 0; i < n; i++) {
    const pivot = matrix
      .slice(i)
      .reduce((best, row) => (Math.abs(row[i]!) > Math.abs(best[i]!) ? row : best));
    const at = matrix.indexOf(pivot);
    [matrix[i], matrix[at]] = [pivot, matrix[i]!];
    for (const [j, row] of matrix.entries()) {
      if (j === i) continue;
      const factor = row[i]! / pivot[i]!;
      for (let k = i; k < row.length; k++) row[k]! -= factor * pivot[k]!;
    }
  }
  return matrix.map((row, i) => row.slice(n).map((value) => value / row[i]!));
}

/**
 * The minimum of `sum |W x + b - onehot|^2 / n + lambda |W|^2` by its normal equations in [x, 1], x standardised to
 * variance 1 / C; scores of the images.
 */
function naiveScores({ count, channels, data, labels }: LabelledFeatures, classes: number, lambda: number) {
  const column = (c: number) => Array.from({ length: count }, (_, i) => data[i * channels + c]!);
  const standard = Array.from({ length: channels }, (_, c) => {
    const values = column(c);
    const mean = values.reduce((a, b) => a + b) / count;
    const variance = values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / count;
    return values.map((x) => (x - mean) / Math.sqrt(variance * channels));
  });
  const x = Array.from({ length: count }, (_, i) => [...standard.map((values) => values[i]!), 1]);
  const system = Array.from({ length: channels + 1 }, (_, r) => [
    ...Array.from(
      { length: channels + 1 },
      (_, c) =>
        x.reduce((sum, row) => sum + row[r]! * row[c]!, 0) / count + (r === c && r < channels ? lambda : 0),
    ),
    ...Array.from(
      { length: classes },
      (_, k) => x.reduce((sum, row, i) => sum + (labels[i] === k ? row[r]! : 0), 0) / count,
    ),
  ]);
  const w = eliminate(system);
  return x.map((row) =>
    Array.from({ length: classes }, (_, k) => row.reduce((sum, v, r) => sum + v * w[r]![k]!, 0)),
  );
}

describe('solveRidge', () => {
  for (const lambda of [1, 1e-3]) {
    it(`4 classes, 6 features, lambda ${lambda}: scores of raw features equal the normal equations'`, async () => {
      const images = clusters(50, 6, 4, 1);
      const { classifier, lambda: chosen } = await solveRidge(
        images,
        4,
        { seed, lambdas: [lambda] },
        runtime,
      );
      expect(chosen).to.equal(lambda);
      const found: number[] = [];
      await classify(classifier, images, runtime, (scores) => found.push(...scores));
      expectClose(found, naiveScores(images, 4, lambda).flat(), 1e-4);
    });
  }

  it('separable classes, more images than a block: 100 %, and 100 % on other images', async () => {
    const { classifier } = await solveRidge(
      clusters(2500, 5, 3, 6),
      3,
      { seed, lambdas: ridgeLambdas },
      runtime,
    );
    const others = clusters(300, 5, 3, 6);
    const counter = new AccuracyCounter();
    await classify(classifier, others, runtime, (scores, i) => counter.add(scores, others.labels[i]!));
    expect(counter.accuracy.top1).to.equal(1);
  });

  it('400 images of one telling feature and 299 of noise: a strong regularisation is chosen', async () => {
    const count = 400;
    const random = new Random(9);
    const labels = Int32Array.from({ length: count }, () => random.integer(2));
    const channels = 300;
    const data = Float32Array.from({ length: count * channels }, (_, i) =>
      i % channels === 0 ? random.normal() + 2 * labels[Math.floor(i / channels)]! : random.normal(),
    );
    const { lambda } = await solveRidge(
      { count, channels, data, labels },
      2,
      { seed, lambdas: ridgeLambdas },
      runtime,
    );
    expect(lambda).to.be.at.least(1e-3);
  });

  it('the same seed chooses the same, one image is too few', async () => {
    const images = clusters(60, 6, 4, 0.5);
    const solve = () => solveRidge(images, 4, { seed, lambdas: ridgeLambdas }, runtime);
    expect(await solve()).to.deep.equal(await solve());
    const error = await rejection(solveRidge(clusters(1, 6, 4, 1), 4, { seed, lambdas: [1] }, runtime));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.equal('ridge: 1 training image; accepted: at least 2');
  });
});
