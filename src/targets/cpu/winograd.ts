import type { Value } from '../../graph/graph.js';
import type { Geometry } from './convolution.js';
import type { TurnedBlocks } from './inputGradient.js';
import type { LayoutPass } from './layoutPass.js';
import {
  biasMatrix,
  inputMatrix,
  outputMatrix,
  tileCount,
  weightMatrix,
  winogradFor,
  type Winograd,
} from './winogradMatrices.js';

/*
 * 3x3 convolutions with stride 1 by Winograd's F(m x m, 3x3) (Lavin and Gray, Fast Algorithms for Convolutional Neural
 * Networks, 2016): tiles of 4x4 outputs take 36 products a channel pair instead of 144. The transforms are products
 * with small banded matrices over rows, then columns; the n n products, n = m + 2, are one grouped 1x1 convolution.
 * Maps are folded, `[C/B, H, W, N, B]`.
 */

/** Rows of products that one convolution of a weight gradient takes; all at once would need memory for all. */
const rowsAtOnce = 2;

interface Extra {
  readonly bias?: Value | null;
  readonly sum?: Value | null;
}

/** Conv of folded `x` with a parameter as `OIHWBiBo`. */
export function winogradConv(l: LayoutPass, x: Value, w: Value, g: Geometry, { bias, sum }: Extra): Value {
  const { k, b } = l;
  const f = winogradFor(g);
  const [outputs, inputs] = w.dims as [number, number];
  const blocks = k.reshape(w, [(outputs * inputs) / k.block ** 2, 9, k.block ** 2]);
  const weights = weightProducts(l, f, k.transpose(blocks, [1, 0, 2]), [outputs, inputs]);
  const tiles = tilesOf(l, f, x, g, inputMatrix);
  const spread = b.graph.constant(biasMatrix(f), [f.products ** 2, 1], 'float32');
  const products = multiply(
    l,
    f,
    tiles,
    weights,
    g,
    bias && k.reshape(k.mul(spread, bias), [f.products ** 2 * outputs]),
  );
  const y = tilesMeet(f, g) ? untiledApart(l, f, products, g) : untiled(l, f, products, g, outputMatrix);
  return added(l, y, sum);
}

/** G w G^T of every block: taps `[9, ...]` -> the weights of n n products. Taps come first: they are 4 times fewer than products. */
function weightProducts(
  { k, b }: LayoutPass,
  f: Winograd,
  taps: Value,
  [outputs, inputs]: readonly [number, number],
): Value {
  const squared = f.products ** 2;
  const factors = b.graph.constant(weightMatrix(f), [squared, 9], 'float32');
  const products = k.matMul(factors, k.reshape(taps, [9, outputs * inputs]));
  return k.reshape(products, [squared * outputs, inputs, 1, 1]);
}

/** ConvInputGrad: the transposed maps, so that dX = B (U * (A dY)), with the channel axes of W exchanged. */
export function winogradInputGradient(
  l: LayoutPass,
  dy: Value,
  turned: TurnedBlocks,
  g: Geometry,
  sum: Value | null,
): Value {
  const { k } = l;
  const f = winogradFor(g);
  const { rows, columns, taps } = turned;
  const blocks = k.reshape(turned.value, [rows, columns, taps, k.block ** 2]);
  const ordered = k.transpose(blocks, [2, 1, 0, 3]);
  const weights = weightProducts(l, f, ordered, [columns * k.block, rows * k.block]);
  const products = multiply(l, f, outputTiles(l, f, dy, g)(), weights, g);
  return added(l, untiled(l, f, products, g, inputMatrix), sum);
}

/**
 * ConvWeightGrad: dW = G^T (sum over tiles of (B^T X) * (A dY)) G, the sum by a convolution in which dY is the
 * kernel and B samples are the channels of a block. That is how dY lies; X is turned from `[N, B]` to `[B, N]` at
 * every position, before it is transformed, since it grows by that. Returns `[K/B, C/B, 9, in, out]`, not scaled.
 */
export function winogradWeightGradient(l: LayoutPass, x: Value, dy: Value, g: Geometry): Value {
  const { k, b } = l;
  const { block } = k;
  const [inputs, outputs] = [x.dims[1]!, dy.dims[1]!];
  const f = winogradFor(g);
  const factors = weightMatrix(f);
  const tiles = tileCount(f, g.height) * tileCount(f, g.width);
  const whole = g.batch % block === 0;
  const turned = whole ? k.reshape(k.samplesInnermost(x, g.batch), x.dims) : x;
  const gradientTiles = outputTiles(l, f, dy, g);
  let total: Value | null = null;
  for (let from = 0; from < f.products; from += rowsAtOnce) {
    const rows = [from, Math.min(from + rowsAtOnce, f.products)] as const;
    const products = (rows[1] - from) * f.products;
    const image = tilesOf(l, f, turned, g, inputMatrix, rows);
    const kernel = gradientTiles(rows);
    const sums = whole
      ? sampleBlocks(l, image, kernel, { products, inputs, outputs, tiles, across: g.batch / block })
      : plainSamples(l, image, kernel, { products, inputs, outputs, positions: tiles * g.batch });
    const columns = Float32Array.from({ length: 9 * products }, (_, i) => {
      const [tap, product] = [Math.floor(i / products), i % products];
      return factors[(from * f.products + product) * 9 + tap]!;
    });
    const back = b.graph.constant(columns, [9, products], 'float32');
    const taps = k.matMul(back, k.reshape(sums, [products, outputs * inputs]));
    total = total ? k.add(total, taps) : taps;
  }
  return k.transpose(k.reshape(total!, [9, (outputs * inputs) / block ** 2, block ** 2]), [1, 0, 2]);
}

/**
 * Products of tiles, added up, where samples are the channels: blocks of samples lie side by side in a row of the image,
 * B rows a row of tiles; blocks of C and tiles are its other axis.
 */
function sampleBlocks(
  { k }: LayoutPass,
  image: Value,
  kernel: Value,
  size: Readonly<Record<'products' | 'inputs' | 'outputs' | 'tiles' | 'across', number>>,
): Value {
  const { products, inputs, outputs, tiles, across } = size;
  return k.conv(
    k.reshape(image, [1, products * k.block, (inputs / k.block) * tiles, k.block * across]),
    k.reshape(kernel, [products * outputs, k.block, tiles, across]),
    { kernel: [tiles, across], strides: [tiles, across], group: products },
  );
}

/** The same for any number of samples, on a runtime that takes groups over a plain image. */
function plainSamples(
  { k }: LayoutPass,
  image: Value,
  kernel: Value,
  size: Readonly<Record<'products' | 'inputs' | 'outputs' | 'positions', number>>,
): Value {
  const { products, inputs, outputs, positions } = size;
  return k.conv(
    k.reshape(image, [1, products, inputs / k.block, positions * k.block]),
    k.reshape(kernel, [products * outputs, 1, 1, positions]),
    { kernel: [1, positions], dilations: [1, k.block], group: products },
  );
}

/** Whether a weight gradient over a batch can go by Winograd. */
export function winogradTakesSamples({ k }: LayoutPass, batch: number): boolean {
  return batch % k.block === 0 || k.rules.plainGroups;
}

/** Whether the tiles of outputs cover a map exactly. */
function tilesMeet({ outputs }: Winograd, { height, width }: Geometry): boolean {
  return height % outputs === 0 && width % outputs === 0;
}

type Rows = readonly [number, number];

/** A dY, of which the caller asks for all or some of the first n: `[n, n, C/B, tiles, tiles, N B]`. */
function outputTiles(l: LayoutPass, f: Winograd, dy: Value, g: Geometry): (rows?: Rows) => Value {
  if (!tilesMeet(f, g)) return (rows) => tilesOf(l, f, dy, g, outputMatrix, rows);
  const { k, b } = l;
  const blocks = dy.dims[1]! / k.block;
  const line = g.batch * k.block;
  const { outputs, products } = f;
  const [down, across] = [g.height / outputs, g.width / outputs];
  // Tiles that do not overlap: a transform is a single product with a small matrix once their rows come first.
  const split = k.reshape(dy, [blocks, down, outputs, across, outputs, line]);
  const apart = k.transpose(split, [2, 4, 0, 1, 3, 5]);
  const rest = blocks * down * across * line;
  const matrix = f.at[0]!.flatMap((_, i) => f.at.map((row) => row[i]!));
  return ([from, to] = [0, products]) => {
    const part = Float32Array.from(matrix.slice(from * outputs, to * outputs));
    const first = b.graph.constant(part, [to - from, outputs], 'float32');
    const second = b.graph.constant(Float32Array.from(matrix), [products, outputs], 'float32');
    const half = k.matMul(first, k.reshape(apart, [outputs, outputs * rest]));
    return k.matMul(second, k.reshape(half, [to - from, outputs, rest]));
  };
}

/** A^T of the products: a folded map `[1, K, H, W N]` whose tiles do not overlap. */
function untiledApart(
  l: LayoutPass,
  f: Winograd,
  products: Value,
  { height, width, batch }: Geometry,
): Value {
  const { k, b } = l;
  const { outputs: m, products: n } = f;
  const channels = products.dims[1]! / n ** 2;
  const blocks = channels / k.block;
  const line = batch * k.block;
  const [down, across] = [height / m, width / m];
  const rest = blocks * down * across * line;
  const matrix = b.graph.constant(Float32Array.from(f.at.flat()), [m, n], 'float32');
  const half = k.matMul(matrix, k.reshape(products, [n, n * rest]));
  const apart = k.matMul(matrix, k.reshape(half, [m, n, rest]));
  const split = k.reshape(apart, [m, m, blocks, down, across, line]);
  return k.reshape(k.transpose(split, [2, 3, 0, 4, 1, 5]), [1, channels, height, width * batch]);
}

/** The transform of an axis: of inputs or, transposed, of outputs. */
type AxisMatrix = (winograd: Winograd, extent: number) => Float32Array;

/** Both axes of a folded map transformed: `[n, n, C/B, tiles, tiles, N B]`, or some of the first n. */
function tilesOf(
  l: LayoutPass,
  f: Winograd,
  x: Value,
  { height, width, batch }: Geometry,
  matrix: AxisMatrix,
  [from, to]: Rows = [0, f.products],
): Value {
  const { k, b } = l;
  const blocks = x.dims[1]! / k.block;
  const line = batch * k.block;
  const [down, across] = [tileCount(f, height), tileCount(f, width)];
  const part = matrix(f, height).slice(from * down * height, to * down * height);
  const first = b.graph.constant(part, [to - from, 1, down, height], 'float32');
  const second = b.graph.constant(matrix(f, width), [1, f.products, 1, 1, across, width], 'float32');
  const half = k.matMul(first, k.reshape(x, [1, blocks, height, width * line]));
  return k.matMul(second, k.reshape(half, [to - from, 1, blocks, down, width, line]));
}

function multiply(
  l: LayoutPass,
  f: Winograd,
  tiles: Value,
  weights: Value,
  g: Geometry,
  bias?: Value | null,
): Value {
  const squared = f.products ** 2;
  const size = tileCount(f, g.height) * tileCount(f, g.width) * g.batch;
  const inputs = weights.dims[1]!;
  return l.k.conv(l.k.reshape(tiles, [1, squared * inputs, 1, size]), weights, {
    kernel: [1, 1],
    group: squared,
    bias: bias ?? null,
  });
}

/** The transposed transform: products to a folded map `[1, K, H, W N]`. */
function untiled(
  l: LayoutPass,
  f: Winograd,
  products: Value,
  { height, width, batch }: Geometry,
  matrix: AxisMatrix,
): Value {
  const { k, b } = l;
  const n = f.products;
  const channels = products.dims[1]! / n ** 2;
  const blocks = channels / k.block;
  const line = batch * k.block;
  const [down, across] = [n * tileCount(f, height), n * tileCount(f, width)];
  const split = k.reshape(products, [n, n, blocks, down / n, across / n, line]);
  const ordered = k.transpose(split, [2, 0, 3, 1, 4, 5]);
  const second = b.graph.constant(transposed(matrix(f, width), width), [width, across], 'float32');
  const first = b.graph.constant(transposed(matrix(f, height), height), [height, down], 'float32');
  const wide = k.matMul(second, k.reshape(ordered, [blocks * down, across, line]));
  const map = k.matMul(first, k.reshape(wide, [blocks, down, width * line]));
  return k.reshape(map, [1, channels, height, width * batch]);
}

function transposed(matrix: Float32Array, columns: number): Float32Array {
  const rows = matrix.length / columns;
  return Float32Array.from(matrix, (_, i) => matrix[(i % rows) * columns + Math.floor(i / rows)]!);
}

function added(l: LayoutPass, value: Value, sum?: Value | null): Value {
  return sum ? l.k.add(value, sum) : value;
}
