import type { Value } from '../../graph/graph.js';
import type { ConvWeightGradAttributes } from '../../ops/convWeightGrad.js';
import {
  byWinograd,
  convLayout,
  geometryOf,
  inputOf,
  mapLayout,
  mapOf,
  metByTap,
  sizeOf,
  type Geometry,
} from './convolution.js';
import { diagonals, openFactor, unitMatrix } from './inputGradient.js';
import type { Lowering, Rule } from './lowering.js';
import { packed, unpackedWeights } from './packing.js';
import { depthwise, ones, type MapLayout, type ParameterForm, type Placed } from './placed.js';
import { winogradWeightGradient } from './winograd.js';

/**
 * ConvWeightGrad without im2col: dW[k, c, i, j] = sum over n, o, p of dY[n, k, o, p] X[n, c, s o + i, s p + j] is a
 * convolution in which dY is the kernel. A factor that is still open on dY is applied to the result.
 */
export const convWeightGrad: Rule = (l, node) => {
  const [input, gradient] = node.inputs as [Value, Value];
  const output = node.outputs[0]!;
  const x = l.of(input);
  const dy = l.of(gradient);
  const attributes = node.attributes as ConvWeightGradAttributes;
  const logical = geometryOf(input.shape, output.dims, gradient.shape, attributes);
  const form = x.native === 'plain' ? 'stem' : 'kernel';
  const g = logical && packed(l, logical, form === 'stem');
  if (!g || !x.clean || (form === 'stem' && g.inputs >= l.k.block)) return null;
  if (dy.pending?.kind !== 'scaled' && !dy.clean) return null;
  const { u, scale } = openFactor(dy, output.dims);
  const { k } = l;
  const layout = gradientLayout(l, x, logical, form);
  if (u.native === 'plain' || !samplesFit(l, layout, g.batch)) return null;
  const du = mapOf(l, u.get(layout), layout, [g.batch, g.outputs]);
  const factor = scale && k.repeated(scale, g.outputs / scale.dims[0]!);
  const diagonal = factor && diagonals(l, factor);
  const image =
    form === 'stem'
      ? k.reshape(x.get('plain'), [g.batch, g.inputs, g.height, g.width])
      : k.after(mapOf(l, inputOf(l, x, logical, layout), layout, [g.batch, g.inputs]), du);
  const sums = recipe(l, form, layout, g)(l, image, du, diagonal, g);
  const value = unpackedWeights(l, sums, form, output.dims, g);
  l.weightGradients.set(gradient, value);
  return [l.placed(output, form, value)];
};

/** Where the map is folded that it reads, and maps of its size are, a window with a stride is folded here. */
function gradientLayout(l: Lowering, x: Placed, g: Geometry, form: ParameterForm): MapLayout {
  if (form === 'stem') return 'blocked';
  const { kernel, stride, batch, rows, columns } = g;
  const packs = l.k.pack(batch, g.inputs) > 1 || l.k.pack(batch, g.outputs) > 1;
  if (kernel > 1 && stride > 1 && x.has('folded') && !packs) return mapLayout(l, batch, rows, columns);
  return convLayout(l, g);
}

/** The kernels take samples as channels of a plain image: fewer than B or whole blocks. Folded maps have one. */
function samplesFit(l: Lowering, layout: MapLayout, batch: number): boolean {
  return layout === 'folded' || batch < l.k.block || batch % l.k.block === 0;
}

type Recipe = (l: Lowering, x: Value, dy: Value, diagonal: Value | null, g: Geometry) => Value;

function recipe(l: Lowering, form: ParameterForm, layout: MapLayout, g: Geometry): Recipe {
  const { kernel } = g;
  if (form === 'stem') return stemGradient;
  if (layout === 'blocked') return kernel === 1 ? pointwise : windowed;
  if (kernel === 1) return foldedPointwise;
  if (byWinograd(l, g, 'weightGradient')) return winogradTiles;
  return foldedWindow;
}

/**
 * A plain image of few channels: they are interleaved into its columns, so that the convolution of
 * convWeightGrad.ts (src/ops) has few, long rows; one group for each chunk of samples.
 */
function stemGradient(l: Lowering, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { kernel, stride, batch, inputs } = g;
  const pad = (kernel - 1) / 2;
  const { outputs } = g;
  const [tall, wide] = [stride * (g.rows - 1) + kernel, stride * (g.columns - 1) + kernel];
  // Transposed by a product with the unit matrix, on all threads.
  const unit = k.b.graph.constant(unitMatrix(inputs), [inputs, inputs], 'float32');
  const pixels = k.matMul(k.reshape(x, [batch, inputs, g.height * g.width]), unit, { transA: true });
  const padded = k.pad(
    k.reshape(pixels, [batch, g.height, g.width * inputs]),
    [0, pad, pad * inputs],
    [0, tall - g.height - pad, (wide - g.width - pad) * inputs],
  );
  const image = k.reshape(padded, [1, batch, tall, wide * inputs]);
  const { weights, groups } = gradientAsKernel(l, dy, g);
  const taps = k.conv(image, weights, {
    kernel: [g.rows, g.columns],
    dilations: [stride, stride * inputs],
    group: groups,
  });
  const sum = summed(l, k.reshape(taps, [groups, outputs * kernel * kernel * inputs]));
  const blocks = k.reshape(sum, [outputs / k.block, kernel * kernel, inputs, k.block]);
  const ordered = k.reshape(k.transpose(blocks, [0, 2, 1, 3]), [
    outputs / k.block,
    inputs * kernel * kernel,
    k.block,
  ]);
  return k.reshape(scaled(l, ordered, diagonal), [outputs, inputs, kernel, kernel]);
}

/** 3x3 on blocked maps: the channels of a block are interleaved into the columns as they lie; an image a block of C. */
function windowed(l: Lowering, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { kernel, stride, batch, inputs, outputs } = g;
  const { block } = k;
  const columns = inputs / block;
  const pad = (kernel - 1) / 2;
  const [tall, wide] = [stride * (g.rows - 1) + kernel, stride * (g.columns - 1) + kernel];
  // Padding by the convolution itself costs it two thirds of its speed, and Pad copies on one thread.
  const padded = depthwise(k, x, ones(k, inputs), {
    pads: [pad, pad, tall - g.height - pad, wide - g.width - pad],
  });
  const map = k.reshape(padded, [batch, columns, tall, wide * block]);
  const images = k.transpose(map, [1, 0, 2, 3]);
  const { weights, groups } = gradientAsKernel(l, dy, g);
  const taps = k.conv(images, weights, {
    kernel: [g.rows, g.columns],
    dilations: [stride, stride * block],
    group: groups,
  });
  const size = outputs * kernel * kernel * block;
  return scaledBlocks(l, summed(l, k.reshape(taps, [columns, groups, size])), diagonal, g);
}

/** `[..., groups, size]` -> `[..., 1, size]`: a product with ones sums rows in a sixth of the time of ReduceSum. */
function summed({ k }: Lowering, rows: Value): Value {
  const groups = rows.dims.at(-2)!;
  return k.matMul(k.b.graph.constant(new Float32Array(groups).fill(1), [1, groups], 'float32'), rows);
}

/** dY as the kernels of `groups` convolutions, each over a chunk of samples. */
function gradientAsKernel(
  l: Lowering,
  dy: Value,
  g: Geometry,
): { readonly weights: Value; readonly groups: number } {
  const { k } = l;
  const { batch, outputs, rows, columns } = g;
  const chunk = l.choices.chunk(sizeOf(g));
  const groups = batch / chunk;
  const kernels = k.reshape(dy, [groups, chunk, outputs / k.block, rows * columns * k.block]);
  const ordered = chunk === 1 ? kernels : k.transpose(kernels, [0, 2, 1, 3]);
  return { weights: k.reshape(ordered, [groups * outputs, chunk, rows, columns]), groups };
}

/** 1x1 on blocked maps as they lie: a sample's blocks of C are the rows of an image, its dY a kernel of one row. */
function pointwise(l: Lowering, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { batch, inputs, outputs, rows, columns } = g;
  const { block } = k;
  const size = rows * columns;
  const image = k.reshape(x, [1, batch, inputs / block, size * block]);
  const { weights, groups } = gradientAsKernel(l, dy, g);
  const [kernels, chunk] = weights.dims as [number, number];
  const products = k.conv(image, k.reshape(weights, [kernels, chunk, 1, size]), {
    kernel: [1, size],
    dilations: [1, block],
    group: groups,
  });
  return scaledRows(l, summed(l, k.reshape(products, [groups, outputs * inputs])), diagonal, g);
}

/**
 * 1x1 on folded maps, whose memory is such an image for the whole batch. Rows, not images of their own: the kernels go
 * through all rows with the weights of four blocks, and these stay in the second-level cache.
 */
function foldedPointwise(l: Lowering, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { inputs, outputs, rows, columns, batch } = g;
  const { block } = k;
  const size = rows * columns * batch;
  const image = k.reshape(x, [1, 1, inputs / block, size * block]);
  const products = k.conv(image, k.reshape(dy, [outputs, 1, 1, size]), {
    kernel: [1, size],
    dilations: [1, block],
  });
  return scaledRows(l, products, diagonal, g);
}

function winogradTiles(l: Lowering, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
  return scaledRows(l, winogradWeightGradient(l, x, dy, g), diagonal, g);
}

/** 3x3 on folded maps: a convolution over the positions that each column of taps meets, a column an image. */
function foldedWindow(l: Lowering, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { kernel, stride, inputs, outputs, height, width, rows, columns, batch } = g;
  const { block } = k;
  const pad = (kernel - 1) / 2;
  const [inputBlocks, outputBlocks] = [inputs / block, outputs / block];
  const tall = stride * (rows - 1) + kernel;
  const padded = depthwise(k, k.reshape(x, [inputBlocks, block, height, width * batch]), ones(k, block), {
    pads: [pad, 0, tall - height - pad, 0],
  });
  // Columns as the rows of an image, a sample in each column of that.
  const lines = k.reshape(padded, [inputBlocks * tall, block, width, batch]);
  const met = Array.from({ length: kernel }, (_, column) =>
    metByTap(l, lines, { kernel, stride, tap: column }),
  );
  const products = k.conv(
    k.reshape(k.concat(met, 0), [kernel * inputBlocks, 1, tall, columns * batch * block]),
    k.reshape(dy, [outputs, 1, rows, columns * batch]),
    { kernel: [rows, columns * batch], dilations: [stride, block] },
  );
  const split = k.reshape(products, [kernel, inputBlocks, outputBlocks, kernel, block ** 2]);
  return scaledRows(l, k.transpose(split, [2, 1, 3, 0, 4]), diagonal, g);
}

/** `[C/B, K/B, taps, in, out]`, scaled by output channel, as a parameter's blocks `[K/B, C/B, taps, in, out]`. */
function scaledBlocks(l: Lowering, sums: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { kernel, inputs, outputs } = g;
  const [columns, rows] = [inputs / k.block, outputs / k.block];
  const split = k.reshape(sums, [columns, rows, 1, kernel * kernel * k.block ** 2]);
  return scaledRows(l, columns > 1 && rows > 1 ? k.transpose(split, [1, 0, 2, 3]) : split, diagonal, g);
}

/** A parameter's blocks `[K/B, C/B, taps, in, out]`, scaled by output channel. */
function scaledRows(l: Lowering, sums: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { kernel, inputs, outputs } = g;
  const blocks = k.reshape(sums, [outputs / k.block, inputs * kernel * kernel, k.block]);
  return k.reshape(scaled(l, blocks, diagonal), [outputs, inputs, kernel, kernel]);
}

/** Rows `[K/B, rows, out]`, scaled by output channel where a factor is open. */
function scaled({ k }: Lowering, rows: Value, diagonal: Value | null): Value {
  return diagonal ? k.matMul(rows, diagonal) : rows;
}
