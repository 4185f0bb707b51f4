import { expect } from 'chai';
import { softmaxEntropy } from '../../src/diagnostics/softmaxEntropy.js';
import { distillationLoss, firstColumn } from '../../src/losses/distillation.js';
import { Random } from '../../src/random.js';
import { evaluate } from '../support/evaluate.js';

describe('softmaxEntropy', () => {
  it('equal logits: log of their number, at any temperature', () => {
    expect(softmaxEntropy(Float32Array.of(3, 3, 3, 3, -2, -2, -2, -2), 4, 5)).to.be.closeTo(
      Math.log(4),
      1e-12,
    );
  });

  it('two classes at temperature 2, mean of two rows', () => {
    const binary = (p: number) => -p * Math.log(p) - (1 - p) * Math.log(1 - p);
    const logits = Float32Array.of(2 * Math.log(3), 0, 2 * Math.log(4), 0);
    expect(softmaxEntropy(logits, 2, 2)).to.be.closeTo((binary(3 / 4) + binary(4 / 5)) / 2, 1e-7);
  });

  it('large logits: 0, not NaN', () => {
    expect(softmaxEntropy(Float32Array.of(1e4, 0, -1e4), 3, 1)).to.equal(0);
  });

  it('is the soft distillation of a student that predicts what its teacher does, over the temperature squared', async () => {
    const random = new Random(1);
    const values = Array.from({ length: 6 * 50 }, () => random.uniform(-1, 1));
    const operand = { shape: [6, 50], values };
    const kd = { kind: 'kd-logits', weight: 0.5, teachers: 'full', teacherTemperature: 5, studentTemperature: 5 } as const; // prettier-ignore
    const [[loss]] = (await evaluate([operand, operand], (b, [student, teacher]) => [
      distillationLoss(b, student!, [teacher!], firstColumn, kd),
    ])) as [[number]];
    expect(loss / 25).to.be.closeTo(softmaxEntropy(Float32Array.from(values), 50, 5), 1e-5);
  });
});
