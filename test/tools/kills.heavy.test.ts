import { expect } from 'chai';
import { killTrials } from '../../tools/kills.js';

describe('tools/kills', function () {
  this.timeout(240_000);

  it('a run, ended at random moments and resumed: the weights and measurements of one undisturbed', async () => {
    const seed = Date.now() % 1_000_000;
    expect(await killTrials({ count: 1, seed }), `seed ${seed}`).to.deep.equal([]);
  });
});
