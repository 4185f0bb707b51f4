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
import type { BlockedConvOptions } from './kernels.js';
import type { LayoutPass, Rule } from './layoutPass.js';
import { packed, unpackedWeights } from './packing.js';
import type { ParameterForm } from '../parameterLayout.js';
import { depthwise, ones, type MapLayout, type LaidOutValue } from './laidOutValue.js';
import { winogradTakesSamples, winogradWeightGradient } from './winograd.js';

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
  const form = x.native === 'plain' ? 'OIHWBo' : 'OIHWBiBo';
  const g = logical && packed(l, logical, form === 'OIHWBo');
  if (!g || !x.zeroPadded || (form === 'OIHWBo' && g.inputs >= l.k.block)) return null;
  if (dy.pending?.kind !== 'scaled' && !dy.zeroPadded) return null;
  const { u, scale } = openFactor(dy, output.dims);
  const { k } = l;
  const layout = gradientLayout(l, x, logical, form);
  if (u.native === 'plain' || !samplesFit(l, layout, g.batch)) return null;
  const du = mapOf(l, u.get(layout), layout, [g.batch, g.outputs]);
  const factor = scale && k.repeated(scale, g.outputs / scale.dims[0]!);
  const diagonal = factor && diagonals(l, factor);
  const image =
    form === 'OIHWBo'
      ? k.reshape(x.get('plain'), [g.batch, g.inputs, g.height, g.width])
      : k.after(mapOf(l, inputOf(l, x, logical, layout), layout, [g.batch, g.inputs]), du);
  const sums = recipe(l, form, layout, g)(l, image, du, diagonal, g);
  const value = unpackedWeights(l, sums, form, output.dims, g);
  l.weightGradients.set(gradient, value);
  return [l.laidOut(output, form, value)];
};

/** Where the map is folded that it reads, and maps of its size are, a window with a stride is folded here. */
function gradientLayout(l: LayoutPass, x: LaidOutValue, g: Geometry, form: ParameterForm): MapLayout {
  if (form === 'OIHWBo') return 'blocked';
  const { kernel, stride, batch, rows, columns } = g;
  const packs = l.k.pack(batch, g.inputs) > 1 || l.k.pack(batch, g.outputs) > 1;
  if (kernel > 1 && stride > 1 && x.has('folded') && !packs) return mapLayout(l, batch, rows, columns);
  return convLayout(l, g);
}

/** Groups take samples as channels of a plain image: fewer than B or whole blocks. Folded maps have one. */
function samplesFit(l: LayoutPass, layout: MapLayout, batch: number): boolean {
  const { plainGroups, block } = l.k.rules;
  return layout === 'folded' || !plainGroups || batch < block || batch % block === 0;
}

type Recipe = (l: LayoutPass, x: Value, dy: Value, diagonal: Value | null, g: Geometry) => Value;

function recipe(l: LayoutPass, form: ParameterForm, layout: MapLayout, g: Geometry): Recipe {
  const { kernel, batch } = g;
  if (form === 'OIHWBo') return stemGradient;
  if (layout === 'blocked') return kernel === 1 ? pointwise : windowed;
  if (kernel === 1) return foldedPointwise;
  if (winogradTakesSamples(l, batch) && byWinograd(l, g, 'weightGradient')) return winogradTiles;
  return foldedWindow;
}

/**
 * A plain image of few channels: they are interleaved into its columns, so that the convolution of
 * convWeightGrad.ts (src/ops) has few, long rows.
 */
function stemGradient(l: LayoutPass, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
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
  const images = k.reshape(padded, [batch, 1, tall, wide * inputs]);
  const sum = convolvedByGradient(l, images, dy, g, {
    kernel: [g.rows, g.columns],
    dilations: [stride, stride * inputs],
  });
  const blocks = k.reshape(sum, [outputs / k.block, kernel * kernel, inputs, k.block]);
  const ordered = k.reshape(k.transpose(blocks, [0, 2, 1, 3]), [
    outputs / k.block,
    inputs * kernel * kernel,
    k.block,
  ]);
  return k.reshape(scaled(l, ordered, diagonal), [outputs, inputs, kernel, kernel]);
}

/** 3x3 on blocked maps: the channels of a block are interleaved into the columns as they lie; an image a block of C. */
function windowed(l: LayoutPass, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { kernel, stride, batch, inputs } = g;
  const { block } = k;
  const pad = (kernel - 1) / 2;
  const [tall, wide] = [stride * (g.rows - 1) + kernel, stride * (g.columns - 1) + kernel];
  // Padding by the convolution itself costs it two thirds of its speed, and Pad copies on one thread.
  const padded = depthwise(k, x, ones(k, inputs), {
    pads: [pad, pad, tall - g.height - pad, wide - g.width - pad],
  });
  const images = k.reshape(padded, [batch, inputs / block, tall, wide * block]);
  const taps = convolvedByGradient(l, images, dy, g, {
    kernel: [g.rows, g.columns],
    dilations: [stride, stride * block],
  });
  return scaledBlocks(l, taps, diagonal, g);
}

/** 1x1 on blocked maps as they lie: a sample's blocks of C are the rows of an image, its dY a kernel of one row. */
function pointwise(l: LayoutPass, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { batch, inputs, rows, columns } = g;
  const { block } = k;
  const size = rows * columns;
  const images = k.reshape(x, [batch, 1, inputs / block, size * block]);
  const products = convolvedByGradient(l, images, dy, g, { kernel: [1, size], dilations: [1, block] });
  return scaledRows(l, products, diagonal, g);
}

type Window = Pick<BlockedConvOptions, 'kernel' | 'dilations'>;

/**
 * Images `[N, images, H, W]` of each sample convolved with its dY as the kernel, and these added up over the samples,
 * which are the channels of plain images: `[images, K, OH, OW]`. Either each chunk of samples is a group of one
 * convolution, whose results a product adds up; or, where the runtime takes no such groups, a convolution of its own,
 * as many samples as make fewer than B channels, that adds to the one before.
 */
function convolvedByGradient(l: LayoutPass, images: Value, dy: Value, g: Geometry, window: Window): Value {
  return l.k.rules.plainGroups
    ? convolvedInGroups(l, images, dy, g, window)
    : convolvedInTurn(l, images, dy, g, window);
}

/** In groups, e.g. 256 samples in chunks of 8: one convolution of 32 groups. */
function convolvedInGroups(l: LayoutPass, images: Value, dy: Value, g: Geometry, window: Window): Value {
  const { k } = l;
  const { batch, outputs, rows, columns } = g;
  const chunk = l.choices.chunk(sizeOf(g));
  const groups = batch / chunk;
  const kernels = k.reshape(dy, [groups, chunk, outputs / k.block, rows * columns * k.block]);
  const ordered = chunk === 1 ? kernels : k.transpose(kernels, [0, 2, 1, 3]);
  const [kernelRows, kernelColumns] = window.kernel;
  const weights = k.reshape(ordered, [groups * outputs, chunk, kernelRows, kernelColumns]);
  const products = k.conv(k.transpose(images, [1, 0, 2, 3]), weights, { ...window, group: groups });
  const [count, , height, width] = products.dims as [number, number, number, number];
  const sums = summed(l, k.reshape(products, [count, groups, outputs * height * width]));
  return k.reshape(sums, [count, outputs, height, width]);
}

/** `[..., groups, size]` -> `[..., 1, size]`: a product with ones sums rows in a sixth of the time of ReduceSum. */
function summed({ k }: LayoutPass, rows: Value): Value {
  const groups = rows.dims.at(-2)!;
  return k.matMul(k.b.graph.constant(new Float32Array(groups).fill(1), [1, groups], 'float32'), rows);
}

/** One after the other, e.g. 32 samples: three convolutions of 11, 11 and 10 of them. */
function convolvedInTurn(l: LayoutPass, images: Value, dy: Value, g: Geometry, window: Window): Value {
  const { k } = l;
  const { batch, outputs, rows, columns } = g;
  const [, count, height, width] = images.dims as [number, number, number, number];
  const kernels = k.reshape(dy, [batch, outputs / k.block, rows, columns * k.block]);
  const turns = Math.ceil(batch / (k.block - 1));
  let sum: Value | null = null;
  for (let turn = 0; turn < turns; turn++) {
    const samples = [turn, turn + 1].map((end) => Math.round((end * batch) / turns)) as [number, number];
    const channels = samples[1] - samples[0];
    const image = k.reshape(k.samplesInside(images, ...samples), [count, channels, height, width]);
    const weights = k.reshape(k.samplesInside(kernels, ...samples), [outputs, channels, ...window.kernel]);
    sum = k.conv(image, weights, { ...window, sum });
  }
  return sum!;
}

/**
 * 1x1 on folded maps, whose memory is such an image for the whole batch. Rows, not images of their own: the kernels go
 * through all rows with the weights of four blocks, and these stay in the second-level cache.
 */
function foldedPointwise(l: LayoutPass, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
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

function winogradTiles(l: LayoutPass, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
  return scaledRows(l, winogradWeightGradient(l, x, dy, g), diagonal, g);
}

/** 3x3 on folded maps: a convolution over the positions that each column of taps meets, a column an image. */
function foldedWindow(l: LayoutPass, x: Value, dy: Value, diagonal: Value | null, g: Geometry): Value {
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
function scaledBlocks(l: LayoutPass, sums: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { kernel, inputs, outputs } = g;
  const [columns, rows] = [inputs / k.block, outputs / k.block];
  const split = k.reshape(sums, [columns, rows, 1, kernel * kernel * k.block ** 2]);
  return scaledRows(l, columns > 1 && rows > 1 ? k.transpose(split, [1, 0, 2, 3]) : split, diagonal, g);
}

/** A parameter's blocks `[K/B, C/B, taps, in, out]`, scaled by output channel. */
function scaledRows(l: LayoutPass, sums: Value, diagonal: Value | null, g: Geometry): Value {
  const { k } = l;
  const { kernel, inputs, outputs } = g;
  const blocks = k.reshape(sums, [outputs / k.block, inputs * kernel * kernel, k.block]);
  return k.reshape(scaled(l, blocks, diagonal), [outputs, inputs, kernel, kernel]);
}

/** Rows `[K/B, rows, out]`, scaled by output channel where a factor is open. */
function scaled({ k }: LayoutPass, rows: Value, diagonal: Value | null): Value {
  return diagonal ? k.matMul(rows, diagonal) : rows;
}
