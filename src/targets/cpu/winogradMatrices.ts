/** Outputs of a tile along one axis. */
export const tileSize = 4;
/** Products of a tile along one axis: outputs + taps - 1. */
export const productCount = tileSize + 2;

/**
 * Interpolation points of F(4, 3), the last one at infinity. Symmetric and with reciprocal pairs, which halves the
 * rounding error of the usual 0, +-1, +-2 (Barabasz et al., Error Analysis and Improving the Accuracy of Winograd
 * Convolution for DNNs, 2020).
 */
const points = [0, Math.SQRT1_2, -Math.SQRT1_2, Math.SQRT2, -Math.SQRT2] as const;

type Matrix = readonly (readonly number[])[];

/** Of y = A^T ((G g) * (B^T d)), for 6 inputs d, 3 taps g and 4 outputs y (Toom-Cook). */
export interface Winograd {
  /** `[4, 6]` */
  readonly at: Matrix;
  /** `[6, 3]` */
  readonly g: Matrix;
  /** `[6, 6]` */
  readonly bt: Matrix;
}

export const winograd: Winograd = toomCook(points, tileSize);

function toomCook(finite: readonly number[], outputs: number): Winograd {
  const size = finite.length + 1;
  const padded = (row: number[]) => [...row, ...new Array<number>(size - row.length).fill(0)];
  const at = Array.from({ length: outputs }, (_, power) => [
    ...finite.map((point) => point ** power),
    power === outputs - 1 ? 1 : 0,
  ]);
  const g = finite.map((point, i) => {
    const scale = finite.reduce((product, other, j) => (j === i ? product : product * (point - other)), 1);
    return [1 / scale, point / scale, point ** 2 / scale];
  });
  const bt = finite.map((_, i) => padded(polynomial(finite.filter((_, j) => j !== i))));
  return { at, g: [...g, [0, 0, 1]], bt: [...bt, polynomial(finite)] };
}

/** Coefficients of the monic polynomial with these roots, lowest power first. */
function polynomial(roots: readonly number[]): number[] {
  return roots.reduce(
    (coefficients, root) => {
      const raised = [0, ...coefficients];
      coefficients.forEach((c, i) => (raised[i]! -= c * root));
      return raised;
    },
    [1],
  );
}

/** Tiles that cover an extent. */
export function tileCount(extent: number): number {
  return Math.ceil(extent / tileSize);
}

/**
 * B^T of every tile of an axis with padding 1, `[6, tiles, extent]`: row (i, t) takes element i of tile t from the
 * axis.
 */
export function inputMatrix(extent: number): Float32Array {
  const tiles = tileCount(extent);
  const matrix = new Float32Array(productCount * tiles * extent);
  for (const [i, row] of winograd.bt.entries()) {
    for (let tile = 0; tile < tiles; tile++) {
      for (const [j, factor] of row.entries()) {
        const at = tile * tileSize + j - 1;
        if (at >= 0 && at < extent) matrix[(i * tiles + tile) * extent + at] = factor;
      }
    }
  }
  return matrix;
}

/** A^T of every tile of an axis, transposed: `[6, tiles, extent]`. */
export function outputMatrix(extent: number): Float32Array {
  const tiles = tileCount(extent);
  const matrix = new Float32Array(productCount * tiles * extent);
  for (let at = 0; at < extent; at++) {
    const tile = Math.floor(at / tileSize);
    for (const [i, factor] of winograd.at[at % tileSize]!.entries()) {
      matrix[(i * tiles + tile) * extent + at] = factor;
    }
  }
  return matrix;
}

/** G (x) G, `[36, 9]`: the products' weights from the taps. */
export function weightMatrix(): Float32Array {
  return Float32Array.from(
    winograd.g.flatMap((row) => winograd.g.flatMap((other) => row.flatMap((x) => other.map((y) => x * y)))),
  );
}

/**
 * v v^T, `[36]`, where A^T v is a vector of ones: added to the products, a bias times this is that bias added to
 * every output.
 */
export function biasMatrix(): Float32Array {
  const v = onesPreimage();
  return Float32Array.from(v.flatMap((x) => v.map((y) => x * y)));
}

/** v = A (A^T A)^-1 1, the shortest v with A^T v = 1. */
function onesPreimage(): number[] {
  const { at } = winograd;
  const system = at.map((row) => [
    ...at.map((other) => row.reduce((sum, x, i) => sum + x * other[i]!, 0)),
    1,
  ]);
  // Gauss-Jordan; the matrix is positive definite.
  for (const [i, row] of system.entries()) {
    const pivot = row[i]!;
    for (const [j, other] of system.entries()) {
      if (j === i) continue;
      const factor = other[i]! / pivot;
      other.forEach((x, column) => (other[column] = x - factor * row[column]!));
    }
  }
  const multipliers = system.map((row, i) => row.at(-1)! / row[i]!);
  return Array.from({ length: productCount }, (_, i) =>
    at.reduce((sum, row, j) => sum + row[i]! * multipliers[j]!, 0),
  );
}
