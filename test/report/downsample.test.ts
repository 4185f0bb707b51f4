import { expect } from 'chai';
import { bucketMeans, type Point } from '../../src/report/downsample.js';

const ramp = (n: number): Point[] => Array.from({ length: n }, (_, i) => [i, 10 * i]);

describe('bucketMeans', () => {
  it('a series within the limit stays as it is', () => {
    expect(bucketMeans(ramp(5), 5)).to.deep.equal(ramp(5));
    expect(bucketMeans([], 5)).to.deep.equal([]);
  });

  it('7 points in 3: means of 3, 3 and 1 points', () => {
    expect(bucketMeans(ramp(7), 3)).to.deep.equal([
      [1, 10],
      [4, 40],
      [6, 60],
    ]);
  });

  it('100001 points: at most 300 remain, and the mean over equal buckets is kept', () => {
    const means = bucketMeans(ramp(100_001));
    expect(means.length).to.be.within(250, 300);
    expect(means[0]).to.deep.equal([166.5, 1665]);
    for (const [x, y] of means) expect(y).to.be.closeTo(10 * x, 1e-6);
  });

  it('points that are not finite are left out, not averaged', () => {
    const points: Point[] = [[0, 1], [1, NaN], [2, null as unknown as number], [3, Infinity], [4, 3]]; // prettier-ignore
    expect(bucketMeans(points, 1)).to.deep.equal([[2, 2]]);
  });
});
