import { expect } from 'chai';
import { distillationLoss, firstColumn } from '../../src/losses/distillation.js';
import { softmaxEntropy } from '../../src/losses/softmaxEntropy.js';
import { Random } from '../../src/random.js';
import { evaluate } from '../support/evaluate.js';

/** Of rows of so many columns. */
async function entropyOf(values: number[], columns: number, temperature: number): Promise<number> {
  const operand = { shape: [values.length / columns, columns], values };
  const [[entropy]] = (await evaluate([operand], (b, [logits]) => [
    softmaxEntropy(b, logits!, temperature),
  ])) as [[number]];
  return entropy;
}

describe('softmaxEntropy', () => {
  it('equal logits: log of their number, at any temperature', async () => {
    expect(await entropyOf([3, 3, 3, 3, -2, -2, -2, -2], 4, 5)).to.be.closeTo(Math.log(4), 1e-6);
  });

  it('two classes at temperature 2, mean of two rows', async () => {
    const binary = (p: number) => -p * Math.log(p) - (1 - p) * Math.log(1 - p);
    const logits = [2 * Math.log(3), 0, 2 * Math.log(4), 0];
    expect(await entropyOf(logits, 2, 2)).to.be.closeTo((binary(3 / 4) + binary(4 / 5)) / 2, 1e-6);
  });

  it('large logits: 0, not NaN', async () => {
    expect(await entropyOf([1e4, 0, -1e4], 3, 1)).to.equal(0);
  });

  it('of 65537 classes: that of a sum in float64', async () => {
    const random = new Random(2);
    const values = Array.from({ length: 2 * 65537 }, () => random.uniform(-1, 1));
    let total = 0;
    for (const row of [values.slice(0, 65537), values.slice(65537)]) {
      const e = row.map((x) => Math.exp(Math.fround(x) / 5));
      const z = e.reduce((sum, x) => sum + x);
      total += Math.log(z) - row.reduce((sum, x, i) => sum + (e[i]! * x) / 5, 0) / z;
    }
    expect(await entropyOf(values, 65537, 5)).to.be.closeTo(total / 2, 1e-5);
  });

  it('is the soft distillation of a student that predicts what its teacher does, over the temperature squared', async () => {
    const random = new Random(1);
    const values = Array.from({ length: 6 * 50 }, () => random.uniform(-1, 1));
    const operand = { shape: [6, 50], values };
    const kd = { kind: 'kd-logits', weight: 0.5, teachers: 'full', teacherTemperature: 5, studentTemperature: 5 } as const; // prettier-ignore
    const [[loss]] = (await evaluate([operand, operand], (b, [student, teacher]) => [
      distillationLoss(b, student!, [teacher!], firstColumn, kd),
    ])) as [[number]];
    expect(loss / 25).to.be.closeTo(await entropyOf(values, 50, 5), 1e-5);
  });
});
