import { expect } from 'chai';
import { gradients } from '../../src/autodiff.js';
import { elementCount } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import { onEveryTarget, type Evaluate, type Operand } from '../support/evaluate.js';
import { expectClose } from '../support/expectClose.js';
import { randomOperand } from '../support/randomOperand.js';
import { normal } from '../support/samples.js';

const epsilon = 1e-5;

/** Batch norm of `[N, C, H, W]` by its definition, in float64: Y, means, biased variances. */
function naiveBatchNorm({ shape, values }: Operand, gamma: readonly number[], beta: readonly number[]) {
  const [n, c, h, w] = shape as [number, number, number, number];
  const channelOf = (i: number) => Math.floor(i / (h * w)) % c;
  const count = n * h * w;
  const mean = new Array<number>(c).fill(0);
  values.forEach((x, i) => (mean[channelOf(i)]! += x / count));
  const variance = new Array<number>(c).fill(0);
  values.forEach((x, i) => (variance[channelOf(i)]! += (x - mean[channelOf(i)]!) ** 2 / count));
  const y = values.map((x, i) => {
    const k = channelOf(i);
    return (gamma[k]! * (x - mean[k]!)) / Math.sqrt(variance[k]! + epsilon) + beta[k]!;
  });
  return [y, mean, variance] as const;
}

/** `shift` is the running mean, which a target may subtract first. */
function batchNormTrain(
  evaluate: Evaluate,
  x: Operand,
  gamma: readonly number[],
  beta: readonly number[],
  shift: readonly number[] = gamma.map(() => 0),
): Promise<number[][]> {
  const vectors = [gamma, beta, shift].map((values) => ({ shape: [values.length], values }));
  return evaluate([x, ...vectors], (b, inputs) => b.node('BatchNormTrain', inputs, { epsilon }));
}

onEveryTarget('batch norm', (evaluate) => {
  for (const shape of [
    [4, 3, 5, 6],
    [8, 2, 1, 1],
    [1, 3, 4, 4],
    [2, 1, 1, 1],
    [8, 4, 3, 3],
    [1, 16, 1, 2],
    [3, 20, 5, 4],
  ]) {
    it(`BatchNormTrain [${shape.join(',')}]: output, mean and biased variance of the definition`, async () => {
      const x = randomOperand(shape, 1);
      const gamma = Array.from({ length: shape[1]! }, (_, i) => [0.5, -2, 1][i % 3]!);
      const beta = Array.from({ length: shape[1]! }, (_, i) => [3, 0, -1][i % 3]!);
      const actual = await batchNormTrain(evaluate, x, gamma, beta);
      for (const [i, expected] of naiveBatchNorm(x, gamma, beta).entries()) {
        expectClose(actual[i]!, expected, 5e-6);
      }
    });
  }

  it('BatchNormTrain with a mean 1000 times the standard deviation: no cancellation', async () => {
    const shape = [8, 2, 6, 6];
    const values = normal(new Random(2), 576).map((x) => Math.fround(1000 + x));
    const [y, mean, variance] = await batchNormTrain(
      evaluate,
      { shape, values },
      [1, 1],
      [0, 0],
      [1001, 998],
    );
    const expected = naiveBatchNorm({ shape, values }, [1, 1], [0, 0]);
    // E[x^2] - mean^2 in float32 would be wrong by about 0.1 here.
    expectClose(variance!, expected[2], 1e-4);
    expectClose(mean!, expected[1], 1e-6);
    expectClose(y!, expected[0], 1e-3);
  });

  for (const shape of [
    [2, 16, 1, 1],
    [3, 4, 2, 2],
    [4, 20, 4, 4],
  ]) {
    it(`BatchNormTrain [${shape.join(',')}] of values close to each other and far from the shift: as exact as near it`, async () => {
      const channels = shape[1]!;
      const near = randomOperand(shape, 6).values;
      const values = near.map((value) => Math.fround(3 + value / 512));
      const vector = new Array<number>(channels).fill(1);
      const [y, , variance] = await batchNormTrain(evaluate, { shape, values }, vector, vector);
      const expected = naiveBatchNorm({ shape, values }, vector, vector);
      // Rounding of the mean over the standard deviation; variances are about 4e-6.
      expectClose(y!, expected[0], 1e-3);
      expectClose(
        variance!.map((value) => 2 ** 18 * value),
        expected[2].map((value) => 2 ** 18 * value),
        1e-4,
      );
    });
  }

  it('BatchNormTrain with a mean of 1000 that float32 holds exactly: Y and dX as exact as with 0', async () => {
    const shape = [64, 1, 1, 1];
    const multiples = normal(new Random(5), 32).map((value) => Math.round(64 * value) / 64);
    const centred = multiples.flatMap((value) => [value, -value]);
    const dy = { shape, values: centred.map((value, i) => Math.fround(value + Math.sin(i))) };
    const one = { shape: [1], values: [1] };
    const run = (mean: number) =>
      evaluate(
        [{ shape, values: centred.map((x) => mean + x) }, dy, one, { shape: [1], values: [mean] }],
        (b, [x, vdy, v, shift]) => {
          const [y, m, variance] = b.node('BatchNormTrain', [x!, v!, v!, shift!], { epsilon });
          return [y!, b.op('BatchNormTrainGrad', [vdy!, x!, v!, m!, variance!], { epsilon })];
        },
      );
    const [far, near] = [await run(1000), await run(0)];
    for (const [i, values] of far.entries()) expectClose(values, near[i]!, 1e-6);
    // The gradient of a bias in front of the batch norm.
    expectClose([far[1]!.reduce((total, value) => total + value, 0)], [0], 5e-6);
  });

  it('BatchNormTrain of 262144 values a channel: statistics and gradients as exact as those of few', async () => {
    const shape = [64, 1, 64, 64];
    const count = 64 * 64 * 64;
    const [x, dy] = [3, 4].map((seed) => {
      const values = normal(new Random(seed), count).map((value) => Math.fround(0.5 + value));
      return { shape, values };
    });
    const one = { shape: [1], values: [1] };
    const [, mean, variance, , dgamma, dbeta] = await evaluate([x!, dy!, one], (b, [vx, vdy, v]) => {
      const outputs = b.node('BatchNormTrain', [vx!, v!, v!], { epsilon });
      const inputs = [vdy!, vx!, v!, outputs[1]!, outputs[2]!];
      return [...outputs, ...b.node('BatchNormTrainGrad', inputs, { epsilon })];
    });
    const [, [expectedMean], [expectedVariance]] = naiveBatchNorm(x!, [1], [0]);
    const r = 1 / Math.sqrt(expectedVariance! + epsilon);
    const products = dy!.values.map((value, i) => value * (x!.values[i]! - expectedMean!) * r);
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    // Added up one by one in float32, squares and dY are off by about 5e-5.
    expectClose(mean!, [expectedMean!], 1e-6);
    expectClose(variance!, [expectedVariance!], 1e-6);
    expectClose(
      [dgamma![0]! / count, dbeta![0]! / count],
      [sum(products) / count, sum(dy!.values) / count],
      1e-6,
    );
  });

  for (const size of [112, 113]) {
    it(`BatchNormTrain of maps of ${size}x${size}, seven tenths of them one value: statistics and gradients of the definition`, async () => {
      const shape = [2, 3, size, size];
      const operand = (seed: number, background: number) => {
        const values = normal(new Random(seed), elementCount(shape)).map((value, i) =>
          Math.fround(i % (size * size) < 0.7 * size * size ? background : value),
        );
        return { shape, values };
      };
      // Of one value each addition rounds to the same side: in one sum of float32 the mean is up to 2e-4 off.
      const [x, dy] = [operand(5, 2.640001), operand(6, 0.11)];
      const vector = (of: number) => ({ shape: [3], values: [of, of, of] });
      const [y, mean, variance, , dgamma, dbeta] = await evaluate(
        [x, dy, vector(1), vector(0)],
        (b, [vx, vdy, one, zero]) => {
          const outputs = b.node('BatchNormTrain', [vx!, one!, zero!, zero!], { epsilon });
          const inputs = [vdy!, vx!, one!, outputs[1]!, outputs[2]!];
          return [...outputs, ...b.node('BatchNormTrainGrad', inputs, { epsilon })];
        },
      );
      const [expectedY, expectedMean, expectedVariance] = naiveBatchNorm(x, [1, 1, 1], [0, 0, 0]);
      expectClose(mean!, expectedMean, 1e-5);
      expectClose(variance!, expectedVariance, 2e-5);
      expectClose(y!, expectedY, 2e-5);
      const sums = [0, 1, 2].map((channel) => {
        const of = (i: number) => Math.floor(i / (size * size)) % 3 === channel;
        const normalized = dy.values.map((value, i) => (of(i) ? value * expectedY[i]! : 0));
        const plain = dy.values.map((value, i) => (of(i) ? value : 0));
        return [normalized, plain].map((values) => values.reduce((a, b) => a + b, 0) / (2 * size * size));
      });
      const count = 2 * size * size;
      expectClose(
        [...dgamma!, ...dbeta!].map((sum) => sum / count),
        [0, 1].flatMap((which) => sums.map((sum) => sum[which]!)),
        1e-5,
      );
    });
  }

  for (const value of [0, 7, -2.117904, 1e-3, 123.4, 5e4]) {
    it(`BatchNormTrain of channels of ${value}: beta, no variance, a gradient that is finite`, async () => {
      for (const shape of [
        [2, 1, 2, 2],
        [3, 20, 5, 7],
        [8, 4, 1, 1],
        [1, 16, 28, 28],
      ]) {
        const channels = shape[1]!;
        const x = { shape, values: new Array<number>(elementCount(shape)).fill(Math.fround(value)) };
        const vector = (of: number) => ({ shape: [channels], values: new Array<number>(channels).fill(of) });
        // Before training starts running means are 0, later about the mean.
        for (const shift of [0, Math.fround(1.01 * value)]) {
          const [y, variance, dx, dgamma] = await evaluate(
            [x, vector(2), vector(0.25), vector(shift)],
            (b, [vx, gamma, beta, near]) => {
              const [normalized, , spread] = b.node('BatchNormTrain', [vx!, gamma!, beta!, near!], {
                epsilon,
              });
              const loss = b.op('ReduceSumSquare', [normalized!], { keepdims: false });
              return [normalized!, spread!, ...gradients(b, loss, [vx!, gamma!])];
            },
          );
          const title = `${shape.join()} less ${shift}`;
          // What rounding leaves of x less its mean, over the root of epsilon.
          const tolerance = 1e-6 + (Math.abs(value) * 2 ** -18) / Math.sqrt(epsilon);
          expectClose(y!, new Array<number>(y!.length).fill(0.25), tolerance);
          expect(Math.min(...variance!), `variance of ${title}`).to.be.at.least(0);
          expect([...dx!, ...dgamma!].every(Number.isFinite), `gradients of ${title}`).to.equal(true);
        }
      }
    });
  }

  it('BatchNormTrain: a loss that reads the batch statistics is refused', async () => {
    const outcome = evaluate([randomOperand([2, 1, 2, 2], 1)], (b, [x]) => {
      const one = b.graph.constant(Float32Array.of(1), [1], 'float32');
      const [, mean] = b.node('BatchNormTrain', [x!, one, one], { epsilon });
      return gradients(b, b.op('ReduceSum', [mean!], { keepdims: false }), [x!]);
    });
    expect(await outcome.catch(String)).to.match(/statistics are not differentiable/);
  });

  it('BatchNormalization applies given statistics', async () => {
    const vector = (...values: number[]) => ({ shape: [2], values });
    const [y] = await evaluate(
      [{ shape: [1, 2, 1, 2], values: [1, 3, 5, 9] }, vector(2, 1), vector(0, 1), vector(1, 5), vector(4, 1)],
      (b, inputs) => [b.op('BatchNormalization', inputs, { epsilon: 0 })],
    );
    expectClose(y!, [0, 2, 1, 5], 1e-6);
  });
});

onEveryTarget('L2Normalize', (evaluate) => {
  it('[3,2]: rows of norm 1 and their norms; a zero row stays zero', async () => {
    const [y, norm] = await evaluate([{ shape: [3, 2], values: [3, 4, 0, 0, -5, 12] }], (b, [x]) =>
      b.node('L2Normalize', [x!]),
    );
    expectClose(y!, [0.6, 0.8, 0, 0, -5 / 13, 12 / 13], 1e-6);
    expectClose(
      norm!.filter((_, i) => i !== 1),
      [5, 13],
      1e-6,
    );
  });

  it('a zero row: the gradient is finite, and that of the other rows is not disturbed', async () => {
    const [dx] = await evaluate([{ shape: [2, 2], values: [0, 0, 3, 4] }], (b, [x]) => {
      const loss = b.op('ReduceSumSquare', [b.op('Add', [b.op('L2Normalize', [x!]), b.scalar(1)])]);
      return gradients(b, b.reshape(loss, []), [x!]);
    });
    expect(dx!.every(Number.isFinite)).to.equal(true);
    // d/dx sum (x/|x| + 1)^2 = 2 (1 - y (y . 1)) / |x| with y = (0.6, 0.8).
    expectClose(dx!.slice(2), [(2 * (1 - 0.6 * 1.4)) / 5, (2 * (1 - 0.8 * 1.4)) / 5], 1e-6);
  });

  it('a loss that reads the norms is refused', async () => {
    const outcome = evaluate([randomOperand([2, 3], 1)], (b, [x]) => {
      const [, norm] = b.node('L2Normalize', [x!]);
      return gradients(b, b.op('ReduceSum', [norm!], { keepdims: false }), [x!]);
    });
    expect(await outcome.catch(String)).to.match(/norms are not a differentiable output/);
  });
});
