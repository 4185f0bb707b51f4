import { expect } from 'chai';
import { clipScale, gradientNorm } from '../../src/optimizers/clipping.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { runGraph } from '../support/runGraph.js';
import { normal } from '../support/samples.js';

describe('clipping', () => {
  it('the graph sums squares', async () => {
    const gradient = normal(new Random(1), 1000);
    const { sum_of_squares: found } = await runGraph(gradientNorm(), { gradient });
    const expected = gradient.reduce((sum, g) => sum + g * g, 0);
    expectClose(found!, [expected], 1e-6);
  });

  it('gradients above the norm are scaled to it, those below stay as they are', () => {
    expect(clipScale(100, 5)).to.be.closeTo(0.5, 1e-7);
    expect(clipScale(100, 5)).to.equal(5 / (10 + 1e-6));
    expect(clipScale(16, 5)).to.equal(1);
    expect(clipScale(0, 5)).to.equal(1);
  });
});
