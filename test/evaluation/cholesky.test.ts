import { expect } from 'chai';
import { SlimclrError } from '../../src/errors.js';
import { cholesky, choleskySolve } from '../../src/evaluation/cholesky.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { normal } from '../support/samples.js';

describe('cholesky', () => {
  it('3 x 3, a factor of whole numbers: exactly it', () => {
    const matrix = Float64Array.of(4, 12, -16, 12, 37, -43, -16, -43, 98);
    cholesky(matrix, 3);
    const lower = [0, 3, 4, 6, 7, 8].map((i) => matrix[i]);
    expect(lower).to.deep.equal([2, 6, 1, -8, 5, 3]);
  });

  it('two right sides of a random system of 20: A x = b', () => {
    const n = 20;
    const random = new Random(1);
    const factors = normal(random, n * n);
    const matrix = Float64Array.from({ length: n * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      let sum = i === j ? 1 : 0;
      for (let k = 0; k < n; k++) sum += factors[i * n + k]! * factors[j * n + k]!;
      return sum;
    });
    const sides = normal(random, 2 * n);
    const solutions = Float64Array.from(sides);
    const factor = matrix.slice();
    cholesky(factor, n);
    choleskySolve(factor, n, solutions);
    const product = sides.map((_, at) => {
      const [side, i] = [Math.floor(at / n), at % n];
      let sum = 0;
      for (let k = 0; k < n; k++) sum += matrix[i * n + k]! * solutions[side * n + k]!;
      return sum;
    });
    expectClose(product, sides, 1e-9);
  });

  it('a matrix with a negative eigenvalue: SlimclrError', () => {
    expect(() => cholesky(Float64Array.of(1, 2, 2, 1), 2)).to.throw(
      SlimclrError,
      /not positive definite at row 1/,
    );
  });
});
