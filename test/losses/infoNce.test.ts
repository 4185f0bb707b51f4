import { infoNce } from '../../src/losses/infoNce.js';
import { batchSimilarities, viewSimilarities } from '../../src/losses/similarities.js';
import { checkGradient } from '../support/checkGradient.js';
import { evaluate } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { float64, normalFloat64 } from '../support/float64.js';
import { dot, mean, rows, sum } from '../support/matrix.js';

const d = 4;

async function lossOf(similarities: ReturnType<typeof float64>, temperature: number): Promise<number[]> {
  const [loss] = await evaluate([similarities], (b, [s]) => [infoNce(b, s!, temperature)]);
  return loss!;
}

/** SimCLR, equation 1 and algorithm 1: each embedding i with its partner j, all others k != i below the line. */
function naiveNtXent(view1: readonly number[], view2: readonly number[], temperature: number): number {
  const z = [...rows(view1, d), ...rows(view2, d)];
  const m = z.length / 2;
  let total = 0;
  for (let i = 0; i < 2 * m; i++) {
    const j = (i + m) % (2 * m);
    let denominator = 0;
    for (let k = 0; k < 2 * m; k++) if (k !== i) denominator += Math.exp(dot(z[i]!, z[k]!) / temperature);
    total -= Math.log(Math.exp(dot(z[i]!, z[j]!) / temperature) / denominator);
  }
  return total / (2 * m);
}

describe('InfoNCE', () => {
  it('equals -log(exp(s0 / T) / sum(exp(s / T))) averaged by a loop', async () => {
    const similarities = normalFloat64([4, 7], 2);
    const expected = mean(
      rows(similarities.values, 7).map((row) => {
        const powers = row.map((s) => Math.exp(s / 0.2));
        return -Math.log(powers[0]! / sum(powers));
      }),
    );
    expectClose(await lossOf(similarities, 0.2), [expected], 1e-13);
  });

  it('equal similarities: log(1 + K), whatever they are and whatever the temperature', async () => {
    for (const temperature of [0.05, 1, 3]) {
      const similarities = float64([3, 6], new Array<number>(18).fill(0.7));
      expectClose(await lossOf(similarities, temperature), [Math.log(6)], 1e-14);
    }
  });

  it('in float32, similarities of +-100 at T 0.1: neither overflow nor 0', async () => {
    const similarities = { shape: [2, 2], values: [-100, 100, 100, -100] };
    const [loss] = await evaluate([similarities], (b, [s]) => [infoNce(b, s!, 0.1)]);
    expectClose(loss!, [1000], 1e-6);
  });

  it('over two views: NT-Xent by a loop, the same for exchanged views', async () => {
    const views = [normalFloat64([5, d], 1), normalFloat64([5, d], 2)] as const;
    const ntXent = async (order: readonly (typeof views)[number][]) => {
      const [loss] = await evaluate(order, (b, [z1, z2]) => [infoNce(b, viewSimilarities(b, z1!, z2!), 0.5)]);
      return loss!;
    };
    const expected = naiveNtXent(views[0].values, views[1].values, 0.5);
    expectClose(await ntXent(views), [expected], 1e-13);
    expectClose(await ntXent([views[1], views[0]]), [expected], 1e-13);
  });

  it('over a batch: the cross entropy of q k^T / T with label i for query i (MoCo v3, algorithm 1)', async () => {
    const [query, keys] = [normalFloat64([5, d], 3), normalFloat64([5, d], 4)];
    const [loss] = await evaluate([query, keys], (b, [q, k]) => [
      infoNce(b, batchSimilarities(b, q!, k!, null), 0.4),
    ]);
    const expected = mean(
      rows(query.values, d).map((q, i) => {
        const powers = rows(keys.values, d).map((k) => Math.exp(dot(q, k) / 0.4));
        return -Math.log(powers[i]! / sum(powers));
      }),
    );
    expectClose(loss!, [expected], 1e-13);
  });

  it('[4,7] at T 0.2: gradient equals finite differences', () =>
    checkGradient({ title: '', inputs: [{ shape: [4, 7] }], build: (b, [s]) => [infoNce(b, s!, 0.2)] }, 1));

  it('NT-Xent of 3 images: gradients of both views equal finite differences', () =>
    checkGradient(
      {
        title: '',
        inputs: [{ shape: [3, d] }, { shape: [3, d] }],
        build: (b, [z1, z2]) => [infoNce(b, viewSimilarities(b, z1!, z2!), 0.5)],
      },
      1,
    ));
});
