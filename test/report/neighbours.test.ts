import { expect } from 'chai';
import { firstOfEachClass, nearestRows } from '../../src/report/neighbours.js';
import { Random } from '../../src/random.js';

const features = (rows: readonly (readonly number[])[]) => ({
  count: rows.length,
  channels: rows[0]!.length,
  data: Float32Array.from(rows.flat()),
});

describe('nearestRows', () => {
  it('by cosine, not by length; equal ones in their order; a row of zeros has cosine 0', () => {
    const bank = features([[0, 0], [9, 9], [2, 0], [0, -1], [-1, 0], [1, 0]]); // prettier-ignore
    const nearest = nearestRows(features([[0, 7], [3, 0]]), 1, bank, 4); // prettier-ignore
    expect(nearest.map(({ index }) => index)).to.deep.equal([2, 5, 1, 0]);
    expect(nearest[2]!.cosine).to.be.closeTo(Math.SQRT1_2, 1e-7);
    expect(nearest[3]!.cosine).to.equal(0);
  });

  it('1000 random rows of 16: the first of all rows sorted by cosine', () => {
    const random = new Random(1);
    const rows = Array.from({ length: 1000 }, () => Array.from({ length: 16 }, () => random.uniform(-1, 1)));
    const [query] = rows as [number[]];
    const dot = (a: readonly number[], b: readonly number[]) => a.reduce((sum, x, i) => sum + x * b[i]!, 0);
    const cosine = (row: readonly number[]) => dot(row, query) / Math.sqrt(dot(row, row) * dot(query, query));
    const sorted = rows.map((row, index) => ({ index, cosine: cosine(row) })).sort((a, b) => b.cosine - a.cosine); // prettier-ignore
    const nearest = nearestRows(features([query]), 0, features(rows), 5);
    expect(nearest.map(({ index }) => index)).to.deep.equal(sorted.slice(0, 5).map(({ index }) => index));
  });

  it('fewer rows than asked for: all of them', () => {
    expect(nearestRows(features([[1]]), 0, features([[1], [-1]]), 5)).to.have.length(2);
  });
});

describe('firstOfEachClass', () => {
  it('in the order of the classes, at most so many', () => {
    expect(firstOfEachClass(Int32Array.of(2, 2, 0, 1, 0), 2)).to.deep.equal([2, 3]);
    expect(firstOfEachClass(Int32Array.of(2, 2, 0, 1, 0), 9)).to.deep.equal([2, 3, 0]);
  });
});
