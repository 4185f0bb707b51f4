import { expect } from 'chai';
import { chooseWithin } from '../../src/web/budget.js';

/** Work and milliseconds of ResNet-20's widths, as measured on a desktop: not in proportion. */
const widths: readonly (readonly [width: number, multiplyAdds: number, milliseconds: number])[] = [
  [1, 41e6, 0.71],
  [0.75, 23e6, 0.58],
  [0.5, 10.5e6, 0.31],
  [0.25, 2.7e6, 0.18],
];
const models = widths.map(([width, multiplyAdds, milliseconds]) => ({ width, multiplyAdds, milliseconds }));

async function choose(budget: number, candidates = models) {
  const times: number[] = [];
  const choice = await chooseWithin(candidates, budget, ({ width, milliseconds }) => {
    times.push(width);
    return Promise.resolve(milliseconds);
  });
  return { ...choice, times };
}

describe('choice of a model by a budget in milliseconds', () => {
  for (const [budget, width, fits] of [
    [0.1, 0.25, false],
    [0.18, 0.25, true],
    [0.3, 0.25, true],
    [0.32, 0.5, true],
    [0.6, 0.75, true],
    // The line through the two narrowest promises 0.82 ms at width 1.
    [0.75, 0.75, true],
    [0.85, 1, true],
    [100, 1, true],
  ] as const) {
    it(`${budget} ms: width ${width}, measured; at most three are`, async () => {
      const { model, milliseconds, fits: does, measured, times } = await choose(budget);
      expect([model.width, does]).to.deep.equal([width, fits]);
      expect(milliseconds).to.equal(model.milliseconds);
      expect(times.length).to.be.within(2, 3);
      expect(new Set(times).size).to.equal(times.length);
      expect(measured.map((entry) => entry.model.width)).to.have.members(times);
    });
  }

  it('a model slower than the line says gives way to the next smaller one', async () => {
    const bent = models.map((model) => (model.width === 1 ? { ...model, milliseconds: 5 } : model));
    const { model, fits, times } = await choose(0.9, bent);
    expect([model.width, fits]).to.deep.equal([0.75, true]);
    expect(times[0]).to.equal(0.25);
  });

  it('one model is measured and taken; where all take the same time, the largest', async () => {
    const one = await choose(0.1, models.slice(0, 1));
    expect([one.model.width, one.fits, one.times]).to.deep.equal([1, false, [1]]);
    const same = models.map((model) => ({ ...model, milliseconds: 1 }));
    expect((await choose(1, same)).model.width).to.equal(1);
  });
});
