import { expect } from 'chai';
import { rankKillTrials } from '../../tools/rankKills.js';
import { launchers } from '../support/launchers.js';

describe('tools/rankKills', function () {
  this.timeout(240_000);

  it('a run of which a rank ends at a random moment, resumed: the weights of one undisturbed', async function () {
    const launcher = launchers.at(-1);
    if (process.platform !== 'linux' || !launcher) return this.skip();
    const seed = Date.now() % 1_000_000;
    expect(await rankKillTrials({ launcher, ranks: 2, count: 1, seed }), `seed ${seed}`).to.deep.equal([]);
  });
});
