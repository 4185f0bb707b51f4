import { expect } from 'chai';
import { Random } from '../../../src/random.js';
import {
  biasMatrix,
  inputMatrix,
  outputMatrix,
  productCount,
  tileCount,
  weightMatrix,
  winograd,
} from '../../../src/targets/cpu/winogradMatrices.js';
import { normal } from '../../support/samples.js';

const dot = (x: readonly number[], y: readonly number[]) =>
  x.reduce((sum, value, i) => sum + value * y[i]!, 0);

describe('targets/cpu/winogradMatrices', () => {
  it('A^T ((G g) * (B^T d)) is the correlation of 6 inputs with 3 taps', () => {
    const random = new Random(1);
    const [d, g] = [normal(random, 6), normal(random, 3)];
    const products = winograd.g.map((row, i) => dot(row, g) * dot(winograd.bt[i]!, d));
    for (const [at, row] of winograd.at.entries()) {
      expect(dot(row, products)).to.be.closeTo(dot(g, d.slice(at, at + 3)), 1e-12);
    }
  });

  for (const extent of [4, 5, 7, 8, 14]) {
    it(`an axis of ${extent}: the tiles together are a convolution with padding 1`, () => {
      const random = new Random(2, extent);
      const [x, g] = [normal(random, extent), normal(random, 3)];
      const tiles = tileCount(extent);
      const [into, out] = [inputMatrix(extent), outputMatrix(extent)];
      const y = new Array<number>(extent).fill(0);
      for (let i = 0; i < productCount; i++) {
        for (let tile = 0; tile < tiles; tile++) {
          const row = (i * tiles + tile) * extent;
          const product = dot(x, [...into.subarray(row, row + extent)]) * dot(winograd.g[i]!, g);
          for (let at = 0; at < extent; at++) y[at]! += product * out[row + at]!;
        }
      }
      for (let at = 0; at < extent; at++) {
        const expected = dot(g, [x[at - 1] ?? 0, x[at]!, x[at + 1] ?? 0]);
        expect(y[at]).to.be.closeTo(expected, 1e-5);
      }
    });
  }

  it('the products of the bias matrix are one at every output of a tile', () => {
    const bias = biasMatrix();
    for (const row of winograd.at) {
      for (const column of winograd.at) {
        const terms = row.flatMap((x) => column.map((y) => x * y));
        expect(dot(terms, [...bias])).to.be.closeTo(1, 1e-5);
      }
    }
  });

  it('the weight matrix is that of both axes', () => {
    const random = new Random(3);
    const taps = normal(random, 9);
    const all = weightMatrix();
    const [i, j] = [4, 2];
    const row = [...all.subarray((i * productCount + j) * 9, (i * productCount + j + 1) * 9)];
    const columns = [0, 1, 2].map((p) => dot(winograd.g[j]!, taps.slice(3 * p, 3 * p + 3)));
    expect(dot(row, taps)).to.be.closeTo(dot(winograd.g[i]!, columns), 1e-5);
  });
});
