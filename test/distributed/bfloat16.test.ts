import { expect } from 'chai';
import { fromBfloat16, roundToBfloat16, toBfloat16 } from '../../src/distributed/bfloat16.js';
import { Random } from '../../src/random.js';

describe('bfloat16', () => {
  it('the nearest of the two neighbours, the even one of two that are as near; infinities and NaN stay', () => {
    const values = Float32Array.of(1, -0, 1 + 2 ** -8, 1 + 3 * 2 ** -8, 1 + 2 ** -8 + 2 ** -20, 3.4e38, -Infinity, NaN); // prettier-ignore
    const expected = [1, -0, 1, 1 + 2 ** -6, 1 + 2 ** -7, Infinity, -Infinity, NaN];
    roundToBfloat16(values);
    expect([...values]).to.deep.equal(expected);
    const hidden = new Float32Array(Uint32Array.of(0x7f800001, 0xff80ffff).buffer);
    roundToBfloat16(hidden);
    expect([...hidden].every(Number.isNaN)).to.equal(true);
  });

  it('off by at most 2^-8 of a value, and those that it has stay', () => {
    const random = new Random(1);
    const values = Float32Array.from(
      { length: 10_000 },
      () => random.normal() * 2 ** random.uniform(-100, 100),
    );
    const rounded = values.slice();
    roundToBfloat16(rounded);
    for (const [i, value] of values.entries())
      expect(Math.abs(rounded[i]! - value)).to.be.at.most(2 ** -8 * Math.abs(value));
    const halves = new Uint16Array(values.length);
    const again = new Float32Array(values.length);
    toBfloat16(rounded, halves);
    fromBfloat16(halves, again);
    expect(again).to.deep.equal(rounded);
  });
});
