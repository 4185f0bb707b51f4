import { expect } from 'chai';
import { Arena } from '../../src/runtime/arena.js';

describe('Arena', () => {
  const arena = new Arena([
    { name: 'a', shape: [3, 5] },
    { name: 'b', shape: [16] },
    { name: 'c', shape: [] },
  ]);

  it('tensors are views of one buffer, each at a multiple of 16 elements', () => {
    expect(['a', 'b', 'c'].map((name) => arena.offset(name))).to.deep.equal([0, 16, 32]);
    arena.view('b').fill(7);
    expect([...arena.data].filter((x) => x === 7)).to.have.length(16);
    expect(arena.data.slice(16, 32).every((x) => x === 7)).to.equal(true);
    expect(arena.tensor('a').dims).to.deep.equal([3, 5]);
    expect(arena.view('c')).to.have.length(1);
  });

  it('an unknown name is an error', () => {
    expect(() => arena.tensor('d')).to.throw('the arena holds no "d"');
    expect(() => arena.offset('d')).to.throw('the arena holds no "d"');
  });
});
