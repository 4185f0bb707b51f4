import { SlimclrError } from '../errors.js';

/**
 * Cholesky factor of a symmetric positive definite matrix `[n, n]`, row-major: L with `L L^T = A` replaces its
 * lower triangle. Throws a SlimclrError when the matrix is not positive definite.
 */
export function cholesky(matrix: Float64Array, n: number): void {
  for (let i = 0; i < n; i++) {
    const row = matrix.subarray(i * n, (i + 1) * n);
    for (let j = 0; j < i; j++) {
      const other = matrix.subarray(j * n, (j + 1) * n);
      row[j] = (row[j]! - dot(row, other, j)) / other[j]!;
    }
    const square = row[i]! - dot(row, row, i);
    if (!(square > 0)) throw new SlimclrError(`a matrix of ${n} rows is not positive definite at row ${i}`);
    row[i] = Math.sqrt(square);
  }
}

/** Solves `A x = b` with the factor of A for each row of `sides`, `[m, n]`, which the solutions replace. */
export function choleskySolve(factor: Float64Array, n: number, sides: Float64Array): void {
  for (let start = 0; start < sides.length; start += n) {
    const x = sides.subarray(start, start + n);
    for (let i = 0; i < n; i++) {
      const row = factor.subarray(i * n, (i + 1) * n);
      x[i] = (x[i]! - dot(row, x, i)) / row[i]!;
    }
    for (let i = n - 1; i >= 0; i--) {
      const row = factor.subarray(i * n, (i + 1) * n);
      const value = (x[i]! /= row[i]!);
      for (let j = 0; j < i; j++) x[j]! -= row[j]! * value;
    }
  }
}

/** Of the first `length` elements; four sums, because one would wait for each addition before the next. */
function dot(a: Float64Array, b: Float64Array, length: number): number {
  let [s0, s1, s2, s3] = [0, 0, 0, 0];
  const end = length - (length % 4);
  for (let k = 0; k < end; k += 4) {
    s0 += a[k]! * b[k]!;
    s1 += a[k + 1]! * b[k + 1]!;
    s2 += a[k + 2]! * b[k + 2]!;
    s3 += a[k + 3]! * b[k + 3]!;
  }
  for (let k = end; k < length; k++) s0 += a[k]! * b[k]!;
  return s0 + s1 + (s2 + s3);
}
