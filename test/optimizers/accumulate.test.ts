import { expect } from 'chai';
import { accumulate } from '../../src/optimizers/accumulate.js';
import { runGraph } from '../support/runGraph.js';

describe('accumulate', () => {
  it('adds a gradient to the sum', async () => {
    const outputs = await runGraph(accumulate(), { sum: [1, -2, 0.5], gradient: [0.25, 4, -0.5] });
    expect(outputs).to.deep.equal({ new_sum: [1.25, 2, 0] });
  });
});
