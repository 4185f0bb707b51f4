import { expect } from 'chai';
import { cut, embedded, intersection, leading, within } from '../../src/graph/region.js';

/** Element [i, j, ...] is the number with the digits i j ... */
function digits(...shape: number[]): Float32Array {
  const numbers = shape.reduce<number[]>(
    (all, length) => all.flatMap((n) => Array.from({ length }, (_, i) => 10 * n + i)),
    [0],
  );
  return Float32Array.from(numbers);
}

describe('graph/region', () => {
  it('cut: a leading block of a matrix', () => {
    expect([...cut(digits(3, 4), [3, 4], leading([2, 2]))]).to.deep.equal([0, 1, 10, 11]);
  });

  it('cut: an inner block, trailing axes whole', () => {
    const region = { start: [1, 1, 0], shape: [2, 1, 2] };
    expect([...cut(digits(3, 3, 2), [3, 3, 2], region)]).to.deep.equal([110, 111, 210, 211]);
  });

  it('cut: an inner block, every axis cut', () => {
    const region = { start: [0, 1, 2], shape: [2, 2, 1] };
    expect([...cut(digits(2, 3, 4), [2, 3, 4], region)]).to.deep.equal([12, 22, 112, 122]);
  });

  it('cut: leading rows, and the whole tensor', () => {
    expect([...cut(digits(3, 2), [3, 2], leading([2, 2]))]).to.deep.equal([0, 1, 10, 11]);
    expect([...cut(digits(3, 2), [3, 2], leading([3, 2]))]).to.deep.equal([...digits(3, 2)]);
  });

  it('embedded: the elements of a region at their places, zeros around them', () => {
    const region = { start: [1, 0, 1], shape: [2, 2, 2] };
    const part = cut(digits(4, 2, 3), [4, 2, 3], region);
    const expected = Array.from(digits(4, 2, 3), (value) =>
      [1, 2].includes(Math.floor(value / 100)) && value % 10 > 0 ? value : 0,
    );
    expect([...embedded(part, region, [4, 2, 3])]).to.deep.equal(expected);
    expect([...embedded(digits(3), leading([3]), [3])]).to.deep.equal([...digits(3)]);
  });

  it('intersection: of leading blocks the smaller one, of blocks apart nothing', () => {
    expect(intersection(leading([4, 3]), leading([2, 3]))).to.deep.equal(leading([2, 3]));
    expect(intersection(leading([2, 3]), { start: [2, 0], shape: [2, 3] })).to.equal(null);
    const overlap = intersection({ start: [1, 0], shape: [3, 3] }, { start: [2, 2], shape: [4, 4] });
    expect(overlap).to.deep.equal({ start: [2, 2], shape: [2, 1] });
  });

  it('within: counts from the start of the outer region', () => {
    const region = { start: [3, 2], shape: [1, 2] };
    expect(within(region, { start: [2, 2], shape: [4, 4] })).to.deep.equal({ start: [1, 0], shape: [1, 2] });
  });
});
