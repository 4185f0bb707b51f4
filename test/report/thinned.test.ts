import { expect } from 'chai';
import { meanOfTwo, Thinned } from '../../src/report/thinned.js';

function thinned(count: number, limit: number): Thinned<number> {
  const all = new Thinned<number>(limit, (a, b) => (a + b) / 2);
  for (let i = 0; i < count; i++) all.push(i);
  return all;
}

describe('Thinned', () => {
  it('a short sequence: all of it', () => {
    expect(thinned(4, 4).items()).to.deep.equal([0, 1, 2, 3]);
    expect(thinned(0, 4).items()).to.deep.equal([]);
  });

  it('a longer one: means of runs of one length, then what remains; the newest for itself', () => {
    expect(thinned(5, 4).items()).to.deep.equal([0.5, 2.5, 4]);
    expect(thinned(8, 4).items()).to.deep.equal([0.5, 2.5, 4.5, 6, 7]);
    expect(thinned(16, 4).items()).to.deep.equal([1.5, 5.5, 9.5, 12.5, 14, 15]);
  });

  it('a million: no more than the limit and a few, in order, their number known', () => {
    const all = thinned(1_000_000, 256);
    expect(all.length).to.equal(1_000_000);
    const items = all.items();
    expect(items.length).to.be.within(128, 256 + 20);
    expect(items).to.deep.equal([...items].sort((a, b) => a - b));
    expect(items.at(-1)).to.equal(999_999);
  });
});

describe('meanOfTwo', () => {
  it('number by number; what only one has or has finite is as it is there', () => {
    const a = {
      step: 1,
      losses: { a: { loss: 2 }, gone: 1 },
      norms: [1, 2],
      name: 'a',
      none: null,
      bad: NaN,
    };
    const b = { step: 2, losses: { a: { loss: 4 }, b: 5 }, norms: [3, 6], name: 'b', none: 7, bad: 3 };
    expect(meanOfTwo<object>(a, b)).to.deep.equal({
      step: 1.5,
      losses: { a: { loss: 3 }, gone: 1, b: 5 },
      norms: [2, 4],
      name: 'b',
      none: 7,
      bad: 3,
    });
  });
});
