import { expect } from 'chai';
import { Random } from '../../../src/random.js';
import {
  biasMatrix,
  inputMatrix,
  outputMatrix,
  tileCount,
  weightMatrix,
  winogradFor,
  winogradOf,
  type TileSize,
} from '../../../src/targets/cpu/winogradMatrices.js';
import { normal } from '../../support/samples.js';

const dot = (x: readonly number[], y: readonly number[]) =>
  x.reduce((sum, value, i) => sum + value * y[i]!, 0);

describe('targets/cpu/winogradMatrices', () => {
  it('the size of the fewest products, 4 where another saves little', () => {
    const sizes = {
      4: 4,
      5: 5,
      6: 3,
      7: 4,
      8: 4,
      9: 5,
      10: 5,
      12: 4,
      13: 5,
      14: 5,
      15: 5,
      16: 4,
      24: 4,
      28: 4,
    };
    for (const [extent, size] of Object.entries(sizes)) {
      expect(winogradFor({ height: +extent, width: +extent }).outputs, extent).to.equal(size);
    }
    expect(winogradFor({ height: 14, width: 8 }).outputs).to.equal(4);
  });

  for (const size of [3, 4, 5] as TileSize[]) {
    const winograd = winogradOf(size);
    const { products: n } = winograd;

    it(`F(${size}, 3): A^T ((G g) * (B^T d)) is the correlation of ${n} inputs with 3 taps`, () => {
      const random = new Random(1);
      const [d, g] = [normal(random, n), normal(random, 3)];
      const products = winograd.g.map((row, i) => dot(row, g) * dot(winograd.bt[i]!, d));
      expect(winograd.at).to.have.length(size);
      for (const [at, row] of winograd.at.entries()) {
        expect(dot(row, products)).to.be.closeTo(dot(g, d.slice(at, at + 3)), 1e-12);
      }
    });

    for (const extent of [4, 5, 7, 8, 14]) {
      it(`F(${size}, 3), an axis of ${extent}: the tiles together are a convolution with padding 1`, () => {
        const random = new Random(2, extent);
        const [x, g] = [normal(random, extent), normal(random, 3)];
        const tiles = tileCount(winograd, extent);
        const [into, out] = [inputMatrix(winograd, extent), outputMatrix(winograd, extent)];
        const y = new Array<number>(extent).fill(0);
        for (let i = 0; i < n; i++) {
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

    it(`F(${size}, 3): the products of the bias matrix are one at every output of a tile`, () => {
      const bias = biasMatrix(winograd);
      for (const row of winograd.at) {
        for (const column of winograd.at) {
          const terms = row.flatMap((x) => column.map((y) => x * y));
          expect(dot(terms, [...bias])).to.be.closeTo(1, 1e-5);
        }
      }
    });

    it(`F(${size}, 3): the weight matrix is that of both axes`, () => {
      const random = new Random(3);
      const taps = normal(random, 9);
      const all = weightMatrix(winograd);
      const [i, j] = [n - 2, 2];
      const row = [...all.subarray((i * n + j) * 9, (i * n + j + 1) * 9)];
      const columns = [0, 1, 2].map((p) => dot(winograd.g[j]!, taps.slice(3 * p, 3 * p + 3)));
      expect(dot(row, taps)).to.be.closeTo(dot(winograd.g[i]!, columns), 1e-5);
    });
  }
});
