import { expect } from 'chai';
import { UsageError } from '../../src/errors.js';
import { balancedSubset } from '../../src/evaluation/balancedSubset.js';

describe('balancedSubset', () => {
  /** 100 images of class 0, 60 of class 1, 5 of class 2, mixed. */
  const labels = Int32Array.from({ length: 165 }, (_, i) =>
    i % 33 === 7 ? 2 : i < 110 && i % 2 === 0 ? 1 : 0,
  );
  const counts = (indices: Uint32Array) =>
    [0, 1, 2].map((label) => indices.filter((index) => labels[index] === label).length);

  it('a share of 165 images of 3 classes: a third of it each, all of a class that has fewer', () => {
    const available = counts(Uint32Array.from(labels.keys()));
    expect(available[2]).to.equal(5);
    expect(counts(balancedSubset(labels, 3, 0.2, 1))).to.deep.equal([11, 11, 5]);
    expect(counts(balancedSubset(labels, 3, 1, 1))).to.deep.equal([55, available[1], 5]);
    expect(counts(balancedSubset(labels, 3, 0.0001, 1)), 'one at least').to.deep.equal([1, 1, 1]);
  });

  it('ascending, no image twice; the seed decides', () => {
    const chosen = balancedSubset(labels, 3, 0.3, 1);
    expect(Array.from(chosen)).to.deep.equal([...new Set(chosen)].sort((a, b) => a - b));
    expect(balancedSubset(labels, 3, 0.3, 1)).to.deep.equal(chosen);
    expect(balancedSubset(labels, 3, 0.3, 2)).to.not.deep.equal(chosen);
  });

  it('a share of 0, of more than 1, NaN: UsageError', () => {
    for (const share of [0, -1, 1.01, NaN]) {
      expect(() => balancedSubset(labels, 3, share, 1)).to.throw(
        UsageError,
        `the share is ${share}; accepted`,
      );
    }
  });
});
