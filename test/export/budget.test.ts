import { expect } from 'chai';
import { budgetText, chooseWithin, type Candidate } from '../../src/export/budget.js';

interface Named extends Candidate {
  readonly name: string;
}

function candidate(
  name: string,
  [milliseconds, bytes, multiplyAdds]: readonly [number, number, number],
  knn: number | null,
  probe: number | null = null,
): Named {
  const accuracy = {
    knn: knn === null ? null : { top1: knn },
    probe: probe === null ? null : { top1: probe },
  };
  return {
    name,
    width: Number(name.split(' ')[0]),
    bytes,
    multiplyAdds,
    latency: { milliseconds },
    accuracy,
  };
}

/** A family as ResNet-20's, in which the narrow int8 models are slower than the float32 ones. */
const family = [
  candidate('1 float32', [0.7, 1_100_000, 41e6], 0.6),
  candidate('0.5 float32', [0.31, 280_000, 11e6], 0.55),
  candidate('0.25 float32', [0.18, 75_000, 3e6], 0.45),
  candidate('1 int8', [0.35, 330_000, 41e6], 0.595),
  candidate('0.5 int8', [0.53, 95_000, 11e6], 0.548),
  candidate('0.25 int8', [0.3, 35_000, 3e6], 0.44),
];

describe('the model that a budget allows', () => {
  for (const [title, budget, name] of [
    ['time', { milliseconds: 0.4 }, '1 int8'],
    ['less time', { milliseconds: 0.32 }, '0.5 float32'],
    ['bytes', { bytes: 100_000 }, '0.5 int8'],
    ['multiply-adds, which precision does not change', { multiplyAdds: 11e6 }, '0.5 float32'],
    ['all three', { milliseconds: 0.4, bytes: 300_000, multiplyAdds: 12e6 }, '0.5 float32'],
    ['exactly that', { milliseconds: 0.18 }, '0.25 float32'],
  ] as const) {
    it(`${title}: the most accurate one that fits`, () => {
      const { chosen, nearest, criterion } = chooseWithin(family, budget);
      expect(chosen!.name).to.equal(name);
      expect(nearest).to.equal(chosen);
      expect(criterion).to.equal('knn');
    });
  }

  it('none fits: the one that exceeds the budget least in proportion', () => {
    const { chosen, nearest } = chooseWithin(family, { milliseconds: 0.1, bytes: 20_000 });
    expect(chosen).to.equal(null);
    // 1.8 and 3.75 times the budget, against 3 and 1.75.
    expect(nearest.name).to.equal('0.25 int8');
  });

  it('equally accurate ones: the faster', () => {
    const same = [candidate('1', [2, 1, 1], 0.5), candidate('0.5', [1, 1, 1], 0.5)];
    expect(chooseWithin(same, { milliseconds: 5 }).chosen!.name).to.equal('0.5');
  });

  it('accuracy: kNN, else the probe, else the width, whatever is known of all', () => {
    const wide = candidate('1', [2, 1, 1], null, 0.4);
    const narrow = candidate('0.5', [1, 1, 1], 0.9, 0.5);
    expect(chooseWithin([wide, narrow], { bytes: 1 })).to.deep.include({
      chosen: narrow,
      criterion: 'probe',
    });
    const unknown = candidate('1', [2, 1, 1], null);
    expect(chooseWithin([narrow, unknown], { bytes: 1 })).to.deep.include({
      chosen: unknown,
      criterion: 'width',
    });
  });

  it('in words', () => {
    expect(budgetText({ milliseconds: 5, bytes: 1e6, multiplyAdds: 1e8 })).to.equal(
      '5 ms, 1.00 MB, 100 M multiply-adds',
    );
  });
});
