import { expect } from 'chai';
import { scheduleSchema } from '../../src/config/optimization.js';
import { keyMomentum, learningRate } from '../../src/optimizers/schedule.js';

const none = { kind: 'none' } as const;
const at = (step: number) => ({ step, steps: 100, stepsPerEpoch: 10 });
/** Ten epochs of ten steps with one epoch of warm-up, unless told otherwise. */
const schedule = (overrides: object) =>
  scheduleSchema.parse({ peak: 0.2, warmup: 0.1, warmupFrom: 1e-8, ...overrides });

describe('learningRate', () => {
  for (const kind of ['cosine', 'step', 'polynomial', 'constant']) {
    it(`${kind}: warms up linearly from warmupFrom and reaches the peak`, () => {
      const rates = [0, 5, 10].map((step) => learningRate(schedule({ kind }), none, at(step)));
      expect(rates[0]).to.equal(1e-8);
      expect(rates[1]).to.be.closeTo((0.2 + 1e-8) / 2, 1e-15);
      expect(rates[2]).to.equal(0.2);
    });

    it(`${kind} without warm-up starts at the peak`, () => {
      expect(learningRate(schedule({ kind, warmup: 0 }), none, at(0))).to.equal(0.2);
    });
  }

  it('cosine: falls by half a cosine', () => {
    const rates = Array.from({ length: 100 }, (_, step) =>
      learningRate(schedule({ kind: 'cosine' }), none, at(step)),
    );
    expect(rates[55]).to.be.closeTo(0.1, 1e-15);
    expect(rates[99]).to.be.closeTo(0.1 * (1 + Math.cos((Math.PI * 89) / 90)), 1e-15);
    for (let i = 11; i < 100; i++) expect(rates[i]!).to.be.below(rates[i - 1]!);
  });

  it('step: times the factor from each of its epochs on', () => {
    const drops = schedule({ kind: 'step', epochs: [6, 8], factor: 0.1 });
    const rates = [59, 60, 79, 80, 99].map((step) => learningRate(drops, none, at(step)));
    for (const [i, expected] of [0.2, 0.02, 0.02, 0.002, 0.002].entries()) {
      expect(rates[i]).to.be.closeTo(expected, 1e-15);
    }
  });

  it('polynomial: a line for power 1, a parabola for power 2', () => {
    const rate = (power: number, step: number) =>
      learningRate(schedule({ kind: 'polynomial', power }), none, at(step));
    expect(rate(1, 55)).to.be.closeTo(0.1, 1e-15);
    expect(rate(1, 99)).to.be.closeTo(0.2 / 90, 1e-15);
    expect(rate(2, 55)).to.be.closeTo(0.05, 1e-15);
    expect(rate(2, 99)).to.be.closeTo(0.2 / 8100, 1e-15);
  });

  it('constant: stays at the peak', () => {
    for (const step of [10, 55, 99])
      expect(learningRate(schedule({ kind: 'constant' }), none, at(step))).to.equal(0.2);
  });

  it("slow start: the curve has its peak from the sub-networks' first step on", () => {
    const slowStart = { kind: 'full-width-first', epochs: 5, peak: 0.8 } as const;
    const cosine = schedule({ kind: 'cosine' });
    const base = (step: number) => learningRate(cosine, none, at(step));
    expect(learningRate(cosine, slowStart, at(49))).to.equal(base(49));
    expect(learningRate(cosine, slowStart, at(50))).to.be.closeTo(4 * base(50), 1e-15);
    expect(learningRate(cosine, slowStart, at(99))).to.be.closeTo(4 * base(99), 1e-15);
    expect(learningRate(cosine, { ...slowStart, peak: 0 }, at(50))).to.equal(base(50));
  });
});

describe('keyMomentum', () => {
  it('goes from its start to 1 along half a cosine', () => {
    expect(keyMomentum(0.99, { step: 0, steps: 100 })).to.equal(0.99);
    expect(keyMomentum(0.99, { step: 50, steps: 100 })).to.be.closeTo(0.995, 1e-15);
    expect(keyMomentum(0.99, { step: 75, steps: 100 })).to.be.closeTo(1 - 0.005 * (1 - Math.SQRT1_2), 1e-15);
    expect(keyMomentum(0.99, { step: 100, steps: 100 })).to.equal(1);
  });
});
