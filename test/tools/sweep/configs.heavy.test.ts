import { expect } from 'chai';
import { drawConfig } from '../../../tools/sweep/configs.js';
import { tryConfig } from '../../../tools/sweep/configTrial.js';
import { comparedTargets, describeConfig } from '../../../tools/sweep/sweepConfigs.js';

/** A part of what `npm run sweep -- configs --small` runs. */
describe('random configs on every target', function () {
  this.timeout(120_000);
  const seed = Number(process.env['CONFIG_SEED'] ?? 0);

  for (let index = 0; index < 9; index++) {
    const drawn = drawConfig({ seed, index, small: true });

    it(`seed ${seed}, ${index}: ${describeConfig(drawn)}`, async () => {
      for (const { target, badness, place } of await tryConfig(drawn, await comparedTargets())) {
        expect(badness, `${target}, ${place}`).to.be.at.most(1);
      }
    });
  }

  it('the same draw gives the same config, another index another', () => {
    expect(drawConfig({ seed, index: 3 })).to.deep.equal(drawConfig({ seed, index: 3 }));
    expect(drawConfig({ seed, index: 3 })).not.to.deep.equal(drawConfig({ seed, index: 4 }));
  });
});
