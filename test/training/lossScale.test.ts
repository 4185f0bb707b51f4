import { expect } from 'chai';
import { LossScale } from '../../src/training/lossScale.js';

const scale = (initial = 2 ** 16, growthSteps = 3) => new LossScale({ initial, growthSteps });

describe('training/lossScale', () => {
  it('an overflow halves it, three good steps in a row double it, an overflow between begins again', () => {
    const loss = scale();
    const after = (event: 'good' | 'overflow') => {
      if (event === 'good') loss.stepped();
      else loss.overflowed(true);
      return loss.value;
    };
    expect(after('overflow')).to.equal(2 ** 15);
    expect(after('overflow')).to.equal(2 ** 14);
    expect([after('good'), after('good')]).to.deep.equal([2 ** 14, 2 ** 14]);
    expect(after('overflow')).to.equal(2 ** 13);
    expect([after('good'), after('good'), after('good')]).to.deep.equal([2 ** 13, 2 ** 13, 2 ** 14]);
    expect([after('good'), after('good'), after('good')].at(-1)).to.equal(2 ** 15);
    expect(loss.skipped).to.deep.equal({ all: 3, narrow: 3 });
  });

  it('falls to 1 and no further, grows as far as float32 goes', () => {
    const low = scale(2);
    expect(low.canFall).to.equal(true);
    low.overflowed(false);
    expect([low.value, low.canFall]).to.deep.equal([1, false]);
    low.overflowed(false);
    expect(low.value).to.equal(1);
    expect(low.skipped).to.deep.equal({ all: 2, narrow: 0 });
    const high = scale(2 ** 126, 1);
    high.stepped();
    expect(high.value).to.equal(2 ** 127);
    high.stepped();
    expect(high.value).to.equal(2 ** 127);
  });

  it('goes on from what a checkpoint holds; another tensor is refused', () => {
    const loss = scale();
    for (const overflow of [true, false, false]) {
      if (overflow) loss.overflowed(false);
      else loss.stepped();
    }
    const resumed = scale(2 ** 3);
    resumed.load(loss.tensor());
    for (const each of [loss, resumed]) each.stepped();
    expect(resumed.value).to.equal(2 ** 16);
    expect(resumed.tensor()).to.deep.equal(loss.tensor());
    const none = /the checkpoint holds no loss scale/;
    expect(() => resumed.load(undefined)).to.throw(none);
    expect(() => resumed.load({ dtype: 'float64', shape: [1], data: Float64Array.of(4) })).to.throw(none);
    const broken = Float64Array.of(NaN, 0, 0, 0);
    expect(() => resumed.load({ dtype: 'float64', shape: [4], data: broken })).to.throw(none);
  });
});
