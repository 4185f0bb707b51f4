import { expect } from 'chai';
import { philox4x32, Random } from '../src/random.js';

describe('Random', () => {
  it('philox4x32 equals the known answers of the Random123 distribution', () => {
    const out = new Uint32Array(4);
    philox4x32(0, 0, 0, 0, 0, 0, out);
    expect([...out]).to.deep.equal([0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8]);
    const ones = 0xffffffff;
    philox4x32(ones, ones, ones, ones, ones, ones, out);
    expect([...out]).to.deep.equal([0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd]);
    philox4x32(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, out);
    expect([...out]).to.deep.equal([0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1]);
  });

  it('a stream is a function of its name: equal names repeat, names that differ anywhere do not', () => {
    const draw = (...name: number[]) => {
      const random = new Random(...name);
      return Array.from({ length: 8 }, () => random.uint32());
    };
    expect(draw(1, 2, 3)).to.deep.equal(draw(1, 2, 3));
    const names = [[1, 2, 3], [1, 2, 4], [1, 3, 2], [1, 2], [1, 2, 3, 0], [1, 2, 3 + 2 ** 32], []];
    expect(new Set(names.map((name) => draw(...name).join())).size).to.equal(names.length);
  });

  it('uniform fills [low, high) and normal has mean 0 and variance 1', () => {
    const random = new Random(7);
    const n = 40000;
    let sum = 0;
    for (let i = 0; i < n; i++) {
      const u = random.uniform(-2, 3);
      expect(u).to.be.within(-2, 3);
      sum += u;
    }
    expect(sum / n).to.be.closeTo(0.5, 0.03);
    const z = Array.from({ length: n }, () => random.normal());
    const mean = z.reduce((a, b) => a + b) / n;
    expect(mean).to.be.closeTo(0, 0.02);
    expect(z.reduce((a, b) => a + (b - mean) ** 2, 0) / n).to.be.closeTo(1, 0.03);
    expect(z.filter((x) => Math.abs(x) > 2).length / n).to.be.closeTo(0.0455, 0.005);
  });

  it('permutation holds every index once and each place is equally likely', () => {
    const counts = new Array<number>(5).fill(0);
    for (let seed = 0; seed < 5000; seed++) {
      const order = new Random(seed).permutation(5);
      expect([...order].sort()).to.deep.equal([0, 1, 2, 3, 4]);
      counts[order[0]!]! += 1;
    }
    for (const count of counts) expect(count).to.be.within(880, 1120);
  });
});
