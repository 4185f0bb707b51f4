/** Outputs of a tile along one axis, m of F(m, 3). */
export type TileSize = keyof typeof points;

/**
 * Interpolation points, the last one of each at infinity. Symmetric, and for four outputs with reciprocal pairs, which
 * halves the rounding error of the usual 0, +-1, +-2 (Barabasz et al., Error Analysis and Improving the Accuracy of
 * Winograd Convolution for DNNs, 2020); five outputs are as exact with these as four with the usual ones.
 */
const points = {
  3: [1 / 2, -1 / 2, 8 / 5, -8 / 5],
  4: [0, Math.SQRT1_2, -Math.SQRT1_2, Math.SQRT2, -Math.SQRT2],
  5: [1 / 4, -1 / 4, 9 / 10, -9 / 10, 9 / 5, -9 / 5],
} as const;

type Matrix = readonly (readonly number[])[];

/** Of y = A^T ((G g) * (B^T d)), for n = m + 2 inputs d, 3 taps g and m outputs y (Toom-Cook). */
export interface Winograd {
  /** m, outputs of a tile along one axis. */
  readonly outputs: TileSize;
  /** n, its products. */
  readonly products: number;
  /** `[m, n]` */
  readonly at: Matrix;
  /** `[n, 3]` */
  readonly g: Matrix;
  /** `[n, n]` */
  readonly bt: Matrix;
}

const sizes = { 3: toomCook(3), 4: toomCook(4), 5: toomCook(5) } as const;

export function winogradOf(outputs: TileSize): Winograd {
  return sizes[outputs];
}

/** Another size than 4 is taken where it needs less than this part of the products: 28 is 7 tiles of 4, 14 three of 5. */
const worthAnother = 0.9;

/** F(m, 3) of a map: the size whose tiles, which may reach over the edge, take the fewest products. */
export function winogradFor({
  height,
  width,
}: {
  readonly height: number;
  readonly width: number;
}): Winograd {
  const products = (w: Winograd) => w.products ** 2 * tileCount(w, height) * tileCount(w, width);
  const fewest = Object.values(sizes).reduce((a, b) => (products(b) < products(a) ? b : a));
  return products(fewest) < worthAnother * products(sizes[4]) ? fewest : sizes[4];
}

function toomCook(outputs: TileSize): Winograd {
  const finite: readonly number[] = points[outputs];
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
  return { outputs, products: size, at, g: [...g, [0, 0, 1]], bt: [...bt, polynomial(finite)] };
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
export function tileCount({ outputs }: Winograd, extent: number): number {
  return Math.ceil(extent / outputs);
}

/**
 * B^T of every tile of an axis with padding 1, `[n, tiles, extent]`: row (i, t) takes element i of tile t from the
 * axis.
 */
export function inputMatrix(winograd: Winograd, extent: number): Float32Array {
  const tiles = tileCount(winograd, extent);
  const matrix = new Float32Array(winograd.products * tiles * extent);
  for (const [i, row] of winograd.bt.entries()) {
    for (let tile = 0; tile < tiles; tile++) {
      for (const [j, factor] of row.entries()) {
        const at = tile * winograd.outputs + j - 1;
        if (at >= 0 && at < extent) matrix[(i * tiles + tile) * extent + at] = factor;
      }
    }
  }
  return matrix;
}

/** A^T of every tile of an axis, transposed: `[n, tiles, extent]`. */
export function outputMatrix(winograd: Winograd, extent: number): Float32Array {
  const tiles = tileCount(winograd, extent);
  const matrix = new Float32Array(winograd.products * tiles * extent);
  for (let at = 0; at < extent; at++) {
    const tile = Math.floor(at / winograd.outputs);
    for (const [i, factor] of winograd.at[at % winograd.outputs]!.entries()) {
      matrix[(i * tiles + tile) * extent + at] = factor;
    }
  }
  return matrix;
}

/** G (x) G, `[n n, 9]`: the products' weights from the taps. */
export function weightMatrix({ g }: Winograd): Float32Array {
  return Float32Array.from(
    g.flatMap((row) => g.flatMap((other) => row.flatMap((x) => other.map((y) => x * y)))),
  );
}

/**
 * v v^T, `[n n]`, where A^T v is a vector of ones: added to the products, a bias times this is that bias added to
 * every output.
 */
export function biasMatrix(winograd: Winograd): Float32Array {
  const v = onesPreimage(winograd);
  return Float32Array.from(v.flatMap((x) => v.map((y) => x * y)));
}

/** v = A (A^T A)^-1 1, the shortest v with A^T v = 1. */
function onesPreimage({ at, products }: Winograd): number[] {
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
  return Array.from({ length: products }, (_, i) =>
    at.reduce((sum, row, j) => sum + row[i]! * multipliers[j]!, 0),
  );
}
