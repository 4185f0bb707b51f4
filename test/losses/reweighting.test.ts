import { expect } from 'chai';
import type { Reweighting } from '../../src/config/techniques.js';
import { lossWeights } from '../../src/losses/reweighting.js';
import { expectClose } from '../support/expectClose.js';
import { sum } from '../support/matrix.js';

const widths = [1, 0.75, 0.5, 0.25];

/** For these widths, which add up to 2.5. */
const expected: Readonly<Record<Reweighting['kind'], readonly number[]>> = {
  none: [1, 1, 1, 1],
  'sum-of-others': [2.5, 1, 1, 1],
  'second-largest': [1.75, 1, 1, 1],
  width: [1, 0.75, 0.5, 0.25],
  'width-share': [0.4, 0.3, 0.2, 0.1],
  'mean-one': [1.6, 1.2, 0.8, 0.4],
  // 2.5, 1.75, 1.25 and 1 of 6.5, times 4.
  cumulative: [20 / 13, 14 / 13, 10 / 13, 8 / 13],
};

const kinds = Object.keys(expected) as Reweighting['kind'][];

describe('loss re-weighting', () => {
  for (const kind of kinds) {
    it(`${kind}: the weights of widths 1, 0.75, 0.5, 0.25`, () => {
      expectClose(lossWeights({ kind }, widths), expected[kind], 1e-15);
    });
  }

  it('cumulative follows the formula sum(W) - sum(W[:i+1]) + 1, normalised to the sum n', () => {
    const uneven = [1, 0.6, 0.35];
    const raw = uneven.map((_, i) => sum(uneven) - sum(uneven.slice(0, i + 1)) + 1);
    const weights = lossWeights({ kind: 'cumulative' }, uneven);
    expectClose(
      weights,
      raw.map((weight) => (weight * uneven.length) / sum(raw)),
      1e-15,
    );
    expect(sum(weights)).to.be.closeTo(3, 1e-14);
  });

  it('a single width has weight 1 in every scheme', () => {
    for (const kind of kinds) expect(lossWeights({ kind }, [1]), kind).to.deep.equal([1]);
  });

  it('the widths given are not changed', () => {
    lossWeights({ kind: 'width' }, widths).fill(7);
    expect(widths).to.deep.equal([1, 0.75, 0.5, 0.25]);
  });
});
