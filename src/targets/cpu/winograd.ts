import type { Value } from '../../graph/graph.js';
import type { Geometry } from './convolution.js';
import type { TurnedBlocks } from './inputGradient.js';
import type { Lowering } from './lowering.js';
import {
  biasMatrix,
  inputMatrix,
  outputMatrix,
  productCount,
  tileCount,
  tileSize,
  weightMatrix,
  winograd,
} from './winogradMatrices.js';

/*
 * 3x3 convolutions with stride 1 by Winograd's F(4x4, 3x3) (Lavin and Gray, Fast Algorithms for Convolutional Neural
 * Networks, 2016): tiles of 4x4 outputs take 36 products a channel pair instead of 144. The transforms are products
 * with small banded matrices over rows, then columns; the 36 products are one grouped 1x1 convolution. Maps are
 * folded, `[C/B, H, W, N, B]`.
 */

const squared = productCount ** 2;
/** Products that one convolution of a weight gradient takes: plain channels, of which there must be fewer than B. */
const productsAtOnce = 2 * productCount;

interface Extra {
  readonly bias?: Value | null;
  readonly sum?: Value | null;
}

/** Conv of folded `x` with a parameter in kernel layout. */
export function winogradConv(l: Lowering, x: Value, w: Value, g: Geometry, { bias, sum }: Extra): Value {
  const { k, b } = l;
  const [outputs, inputs] = w.dims as [number, number];
  const blocks = k.reshape(w, [(outputs * inputs) / k.block ** 2, 9, k.block ** 2]);
  const weights = weightProducts(l, k.transpose(blocks, [1, 0, 2]), [outputs, inputs]);
  const tiles = tilesOf(l, x, g, matrices(inputMatrix, g));
  const spread = b.graph.constant(biasMatrix(), [squared, 1], 'float32');
  const products = multiply(
    l,
    tiles,
    weights,
    g,
    bias && k.reshape(k.mul(spread, bias), [squared * outputs]),
  );
  const y = tilesMeet(g) ? untiledApart(l, products, g) : untiled(l, products, g, matrices(outputMatrix, g));
  return added(l, y, sum);
}

/** G w G^T of every block: taps `[9, ...]` -> the weights of 36 products. Taps come first: they are 4 times fewer than products. */
function weightProducts(
  { k, b }: Lowering,
  taps: Value,
  [outputs, inputs]: readonly [number, number],
): Value {
  const factors = b.graph.constant(weightMatrix(), [squared, 9], 'float32');
  const products = k.matMul(factors, k.reshape(taps, [9, outputs * inputs]));
  return k.reshape(products, [squared * outputs, inputs, 1, 1]);
}

/** ConvInputGrad: the transposed maps, so that dX = B (U * (A dY)), with the channel axes of W exchanged. */
export function winogradInputGradient(
  l: Lowering,
  dy: Value,
  turned: TurnedBlocks,
  g: Geometry,
  sum: Value | null,
): Value {
  const { k } = l;
  const { rows, columns, taps } = turned;
  const blocks = k.reshape(turned.value, [rows, columns, taps, k.block ** 2]);
  const ordered = k.transpose(blocks, [2, 1, 0, 3]);
  const weights = weightProducts(l, ordered, [columns * k.block, rows * k.block]);
  const products = multiply(l, outputTiles(l, dy, g)(), weights, g);
  return added(l, untiled(l, products, g, matrices(inputMatrix, g)), sum);
}

/**
 * ConvWeightGrad: dW = G^T (sum over tiles of (B^T X) * (A dY)) G, the sum by a convolution in which dY is the
 * kernel. Returns `[K/B, C/B, 9, in, out]`, not scaled.
 */
export function winogradWeightGradient(l: Lowering, x: Value, dy: Value, g: Geometry): Value {
  const { k, b } = l;
  const { block } = k;
  const [inputs, outputs] = [x.dims[1]!, dy.dims[1]!];
  const factors = weightMatrix();
  const size = tileCount(g.height) * tileCount(g.width) * g.batch;
  const gradientTiles = outputTiles(l, dy, g);
  let total: Value | null = null;
  for (let first = 0; first < squared; first += productsAtOnce) {
    const rows = [first / productCount, (first + productsAtOnce) / productCount] as const;
    const image = tilesOf(l, x, g, matrices(inputMatrix, g), rows);
    const kernel = gradientTiles(rows);
    const sums = k.conv(
      k.reshape(image, [1, productsAtOnce, inputs / block, size * block]),
      k.reshape(kernel, [productsAtOnce * outputs, 1, 1, size]),
      { kernel: [1, size], dilations: [1, block], group: productsAtOnce },
    );
    const columns = Float32Array.from({ length: 9 * productsAtOnce }, (_, i) => {
      const [tap, product] = [Math.floor(i / productsAtOnce), i % productsAtOnce];
      return factors[(first + product) * 9 + tap]!;
    });
    const back = b.graph.constant(columns, [9, productsAtOnce], 'float32');
    const taps = k.matMul(back, k.reshape(sums, [productsAtOnce, outputs * inputs]));
    total = total ? k.add(total, taps) : taps;
  }
  return k.transpose(k.reshape(total!, [9, (outputs * inputs) / block ** 2, block ** 2]), [1, 0, 2]);
}

/** Whether the tiles of outputs cover a map exactly. */
function tilesMeet({ height, width }: Geometry): boolean {
  return height % tileSize === 0 && width % tileSize === 0;
}

type Rows = readonly [number, number];
const allRows: Rows = [0, productCount];

/** A dY, of which the caller asks for all or some of the first 6: `[6, 6, C/B, tiles, tiles, N B]`. */
function outputTiles(l: Lowering, dy: Value, g: Geometry): (rows?: Rows) => Value {
  if (!tilesMeet(g)) return (rows) => tilesOf(l, dy, g, matrices(outputMatrix, g), rows);
  const { k, b } = l;
  const blocks = dy.dims[1]! / k.block;
  const line = g.batch * k.block;
  const [down, across] = [g.height / tileSize, g.width / tileSize];
  // Tiles that do not overlap: a transform is a single product with a small matrix once their rows come first.
  const split = k.reshape(dy, [blocks, down, tileSize, across, tileSize, line]);
  const apart = k.transpose(split, [2, 4, 0, 1, 3, 5]);
  const rest = blocks * down * across * line;
  const matrix = winograd.at[0]!.flatMap((_, i) => winograd.at.map((row) => row[i]!));
  return ([from, to] = allRows) => {
    const part = Float32Array.from(matrix.slice(from * tileSize, to * tileSize));
    const first = b.graph.constant(part, [to - from, tileSize], 'float32');
    const second = b.graph.constant(Float32Array.from(matrix), [productCount, tileSize], 'float32');
    const half = k.matMul(first, k.reshape(apart, [tileSize, tileSize * rest]));
    return k.matMul(second, k.reshape(half, [to - from, tileSize, rest]));
  };
}

/** A^T of the products: a folded map `[1, K, H, W N]` whose tiles do not overlap. */
function untiledApart(l: Lowering, products: Value, { height, width, batch }: Geometry): Value {
  const { k, b } = l;
  const channels = products.dims[1]! / squared;
  const blocks = channels / k.block;
  const line = batch * k.block;
  const [down, across] = [height / tileSize, width / tileSize];
  const rest = blocks * down * across * line;
  const matrix = b.graph.constant(Float32Array.from(winograd.at.flat()), [tileSize, productCount], 'float32');
  const half = k.matMul(matrix, k.reshape(products, [productCount, productCount * rest]));
  const apart = k.matMul(matrix, k.reshape(half, [tileSize, productCount, rest]));
  const split = k.reshape(apart, [tileSize, tileSize, blocks, down, across, line]);
  return k.reshape(k.transpose(split, [2, 3, 0, 4, 1, 5]), [1, channels, height, width * batch]);
}

type AxisMatrix = (extent: number) => Float32Array;
interface Matrices {
  readonly rows: Float32Array;
  readonly columns: Float32Array;
}

function matrices(matrix: AxisMatrix, { height, width }: Geometry): Matrices {
  return { rows: matrix(height), columns: matrix(width) };
}

/** Both axes of a folded map transformed: `[6, 6, C/B, tiles, tiles, N B]`, or some of the first 6. */
function tilesOf(
  l: Lowering,
  x: Value,
  { height, width, batch }: Geometry,
  { rows, columns }: Matrices,
  [from, to]: Rows = allRows,
): Value {
  const { k, b } = l;
  const blocks = x.dims[1]! / k.block;
  const line = batch * k.block;
  const [down, across] = [tileCount(height), tileCount(width)];
  const part = rows.slice(from * down * height, to * down * height);
  const first = b.graph.constant(part, [to - from, 1, down, height], 'float32');
  const second = b.graph.constant(columns, [1, productCount, 1, 1, across, width], 'float32');
  const half = k.matMul(first, k.reshape(x, [1, blocks, height, width * line]));
  return k.matMul(second, k.reshape(half, [to - from, 1, blocks, down, width, line]));
}

function multiply(l: Lowering, tiles: Value, weights: Value, g: Geometry, bias?: Value | null): Value {
  const size = tileCount(g.height) * tileCount(g.width) * g.batch;
  const inputs = weights.dims[1]!;
  return l.k.conv(l.k.reshape(tiles, [1, squared * inputs, 1, size]), weights, {
    kernel: [1, 1],
    group: squared,
    bias: bias ?? null,
  });
}

/** The transposed transform: products to a folded map `[1, K, H, W N]`. */
function untiled(
  l: Lowering,
  products: Value,
  { height, width, batch }: Geometry,
  { rows, columns }: Matrices,
): Value {
  const { k, b } = l;
  const channels = products.dims[1]! / squared;
  const blocks = channels / k.block;
  const line = batch * k.block;
  const [down, across] = [productCount * tileCount(height), productCount * tileCount(width)];
  const split = k.reshape(products, [
    productCount,
    productCount,
    blocks,
    down / productCount,
    across / productCount,
    line,
  ]);
  const ordered = k.transpose(split, [2, 0, 3, 1, 4, 5]);
  const second = b.graph.constant(transposed(columns, width), [width, across], 'float32');
  const first = b.graph.constant(transposed(rows, height), [height, down], 'float32');
  const wide = k.matMul(second, k.reshape(ordered, [blocks * down, across, line]));
  const map = k.matMul(first, k.reshape(wide, [blocks, down, width * line]));
  return k.reshape(map, [1, channels, height, width * batch]);
}

function transposed(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns;
  return Float32Array.from(matrix, (_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]!);
}

function added(l: Lowering, value: Value, sum?: Value | null): Value {
  return sum ? l.k.add(value, sum) : value;
}
