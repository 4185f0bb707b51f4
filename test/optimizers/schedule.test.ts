import { expect } from 'chai';
import { learningRate } from '../../src/optimizers/schedule.js';

describe('learningRate', () => {
  const schedule = { peak: 0.2, warmup: 0.1, warmupFrom: 1e-8 };

  it('warms up linearly from warmupFrom, reaches the peak, and falls by half a cosine', () => {
    const rates = Array.from({ length: 100 }, (_, step) => learningRate(schedule, step, 100));
    expect(rates[0]).to.equal(1e-8);
    expect(rates[5]).to.be.closeTo(0.1, 1e-7);
    expect(rates[10]).to.equal(0.2);
    expect(rates[55]).to.be.closeTo(0.1, 1e-9);
    expect(rates[99]).to.be.closeTo(0.1 * (1 + Math.cos((Math.PI * 89) / 90)), 1e-12);
    for (let i = 11; i < 100; i++) expect(rates[i]!).to.be.below(rates[i - 1]!);
  });

  it('without warm-up starts at the peak', () => {
    expect(learningRate({ ...schedule, warmup: 0 }, 0, 10)).to.equal(0.2);
  });
});
