import { expect } from 'chai';
import { Graph } from '../../src/graph/graph.js';
import { infoNce } from '../../src/losses/infoNce.js';
import { batchSimilarities, queueSimilarities, viewSimilarities } from '../../src/losses/similarities.js';
import { Builder } from '../../src/ops/builder.js';
import { checkGradient, type GradientCase } from '../support/checkGradient.js';
import { evaluate } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { float64, normalFloat64 } from '../support/float64.js';
import { dot, mean, rows } from '../support/matrix.js';

const d = 4;

describe('similarities', () => {
  it('of a queue: the positive first, then the whole queue, as inner products', async () => {
    const [query, keys, queue] = [
      normalFloat64([3, d], 1),
      normalFloat64([3, d], 2),
      normalFloat64([5, d], 3),
    ];
    const [actual] = await evaluate([query, keys, queue], (b, [q, k, old]) => [
      queueSimilarities(b, q!, k!, old!),
    ]);
    const expected = rows(query.values, d).flatMap((q, i) => [
      dot(q, rows(keys.values, d)[i]!),
      ...rows(queue.values, d).map((entry) => dot(q, entry)),
    ]);
    expectClose(actual!, expected, 1e-13);
  });

  for (const [n, m] of [
    [4, 4],
    [2, 2],
    [3, 8],
    [1, 3],
  ] as const) {
    it(`of a batch of ${m}, ${n} in this micro-batch: the positive, the other keys in order, those of other micro-batches`, async () => {
      const [query, keys, others] = [
        normalFloat64([n, d], 1),
        normalFloat64([n, d], 2),
        normalFloat64([m - n, d], 3),
      ];
      const given = m > n ? [query, keys, others] : [query, keys];
      const [actual] = await evaluate(given, (b, [q, k, rest]) => [
        batchSimilarities(b, q!, k!, rest ?? null),
      ]);
      const own = rows(keys.values, d);
      const expected = rows(query.values, d).flatMap((q, i) =>
        [own[i]!, ...own.filter((_, j) => j !== i), ...rows(others.values, d)].map((key) => dot(q, key)),
      );
      expectClose(actual!, expected, 1e-13);
    });
  }

  it('of a batch of 1 or two views of 1 image: no negatives, rejected', () => {
    const graph = new Graph('one');
    const x = graph.input('x', { dtype: 'float32', shape: [1, d] });
    const b = new Builder(graph);
    expect(() => batchSimilarities(b, x, x, null)).to.throw(/empty/);
    expect(() => viewSimilarities(b, x, x)).to.throw(/empty/);
  });

  it('of two views of 3 images: the other view of the image, then its negatives there, then those of the own view', async () => {
    const m = 3;
    const views = [normalFloat64([m, d], 1), normalFloat64([m, d], 2)];
    const [actual] = await evaluate(views, (b, [z1, z2]) => [viewSimilarities(b, z1!, z2!)]);
    const z = views.map(({ values }) => rows(values, d));
    const expected: number[] = [];
    for (const view of [0, 1]) {
      for (const [i, own] of z[view]!.entries()) {
        expected.push(dot(own, z[1 - view]![i]!));
        for (const from of [1 - view, view]) {
          for (const [k, negative] of z[from]!.entries()) if (k !== i) expected.push(dot(own, negative));
        }
      }
    }
    expectClose(actual!, expected, 1e-13);
  });

  it("MoCo v3: micro-batches with each other's keys have the mean loss of the undivided batch", async () => {
    const [m, n] = [6, 2];
    const [query, keys] = [normalFloat64([m, d], 4), normalFloat64([m, d], 5)];
    const lossOf = async (q: number[], own: number[], others: number[]) => {
      const operands = [q, own, others].filter((x) => x.length > 0).map((x) => float64([x.length / d, d], x));
      const [loss] = await evaluate(operands, (b, [q, k, rest]) => [
        infoNce(b, batchSimilarities(b, q!, k!, rest ?? null), 0.3),
      ]);
      return loss![0]!;
    };
    const whole = await lossOf([...query.values], [...keys.values], []);
    const parts: number[] = [];
    for (let start = 0; start < m * d; start += n * d) {
      const inside = (_: number, i: number) => i >= start && i < start + n * d;
      const outside = (_: number, i: number) => !inside(_, i);
      const own = keys.values.filter(inside);
      parts.push(await lossOf(query.values.filter(inside), own, keys.values.filter(outside)));
    }
    expectClose([mean(parts)], [whole], 1e-13);
  });

  const gradientCases: GradientCase[] = [
    {
      title: 'of a queue',
      inputs: [{ shape: [3, d] }, { shape: [3, d] }, { shape: [5, d] }],
      build: (b, [q, k, queue]) => [queueSimilarities(b, q!, k!, queue!)],
    },
    {
      title: 'of a batch, one micro-batch',
      inputs: [{ shape: [4, d] }, { shape: [4, d] }],
      build: (b, [q, k]) => [batchSimilarities(b, q!, k!, null)],
    },
    {
      title: 'of a batch, a micro-batch of 3 of 5',
      inputs: [{ shape: [3, d] }, { shape: [3, d] }, { shape: [2, d] }],
      build: (b, [q, k, others]) => [batchSimilarities(b, q!, k!, others!)],
    },
    {
      title: 'of two views',
      inputs: [{ shape: [3, d] }, { shape: [3, d] }],
      build: (b, [z1, z2]) => [viewSimilarities(b, z1!, z2!)],
    },
  ];
  for (const test of gradientCases) {
    it(`${test.title}: gradients equal finite differences`, () => checkGradient(test, 1));
  }
});
