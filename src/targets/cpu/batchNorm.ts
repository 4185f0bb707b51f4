import type { Value } from '../../graph/graph.js';
import { once } from '../../once.js';
import type { BatchNormalizationAttributes } from '../../ops/batchNormalization.js';
import type { Kernels } from './kernels.js';
import type { LayoutPass, Rule } from './layoutPass.js';
import { depthwise, ones, LaidOutValue, type Activation } from './laidOutValue.js';
import { mapLayout } from './convolution.js';

/**
 * What the gradient of a batch norm needs of its forward pass. Vectors `[C]`, padded to whole blocks where samples
 * do not share one.
 */
export interface NormRecord {
  /** The input, less the shift. */
  readonly y: Activation;
  /** Mean of that. */
  readonly mean: Value;
  /** 1 / sqrt(variance + epsilon) */
  readonly rstd: Value;
  /** gamma rstd; 0 for channels beyond C. */
  readonly scale: Value;
}

/**
 * BatchNormTrain in one pass for the statistics and one for the result, which stays open for a residual and Relu.
 * The variance is E[y^2] - E[y]^2 of shifted values: the convolution in front subtracts the shift, a value near the
 * mean, as its bias, so that nothing cancels where |mean| >> std.
 */
export const batchNormTrain: Rule = (l, node) => {
  const [input, gamma, beta, shift] = node.inputs as [Value, Value, Value, Value | undefined];
  const [output, meanOutput, varianceOutput] = node.outputs as [Value, Value, Value];
  if (input.shape.some((d) => typeof d === 'string')) return null;
  const x = l.of(input);
  if (!x.pending && !x.has('blocked') && !x.has('folded')) return null;
  const { k, b } = l;
  const { epsilon } = node.attributes as BatchNormalizationAttributes;
  const [n, c, h, w] = input.dims as [number, number, number, number];
  const samples = k.pack(n, c);
  const padded = samples > 1 ? c : k.padded(c);
  const vector = (value: Value) => k.pad(l.of(value).get('plain'), [0], [padded - c]);
  const repeated = (value: Value) => k.repeated(value, samples);

  // Only this operator and its gradient may see shifted values.
  const alone = consumersOf(l, input);
  let offset: Value | null = null;
  const pending = x.pending;
  if (shift && pending?.kind === 'conv' && alone) {
    offset = vector(shift);
    x.settle(pending.layout, pending.emit({ bias: b.op('Neg', [offset]) }));
  }
  const layout = mapLayout(l, n, h, w);
  const y: Activation = { layout, value: x.get(layout) };

  const mean = channelMean(l, y, samples);
  const variance = channelVariance(l, y, mean, samples, n * h * w);
  const std = b.op('Sqrt', [k.add(variance, b.scalar(epsilon))]);
  const rstd = b.op('Reciprocal', [std]);
  const scale = k.mul(vector(gamma), rstd);
  const bias = k.sub(vector(beta), k.mul(mean, scale));
  l.norms.set(meanOutput, { y, mean, rstd, scale });
  const whole = offset ? k.add(mean, offset) : mean;
  return [
    LaidOutValue.open(k, output.type, { kind: 'affine', y, scale: repeated(scale), bias: repeated(bias) }),
    l.laidOut(meanOutput, 'plain', k.slice(whole, 0, 0, c)),
    l.laidOut(varianceOutput, 'plain', k.slice(variance, 0, 0, c)),
  ];
};

/**
 * Values of a channel up to which their variance takes a pass of its own. By chance a few of them are much closer to
 * each other than to the shift, and what E[y^2] - E[y]^2 leaves of so few digits would be a visible part wrong.
 */
const few = 64;

/** Biased variance of each channel: `[C]`. */
function channelVariance(l: LayoutPass, y: Activation, mean: Value, samples: number, count: number): Value {
  const { k, b } = l;
  if (count <= few) {
    const channels = y.value.dims[1]!;
    const bias = k.repeated(b.op('Neg', [mean]), samples);
    const centred: Activation = { ...y, value: depthwise(k, y.value, ones(k, channels), { bias }) };
    return channelMeanProduct(l, centred, centred, samples);
  }
  const squares = channelMeanProduct(l, y, y, samples);
  // Of a constant channel rounding may leave less than nothing, whose root is NaN.
  return b.op('Relu', [k.sub(squares, k.mul(mean, mean))]);
}

/**
 * BatchNormTrainGrad. With d = dY, M = N H W, m and r of the shifted input y, and q = r (mean(y d) - m mean(d)):
 *   dbeta = M mean(d), dgamma = M q, dX = gamma r (d - r q y + r q m - mean(d)).
 * The factor gamma r stays open: the gradients of the convolution in front fold it into weights.
 */
export const batchNormTrainGrad: Rule = (l, node) => {
  const [gradient, , , meanInput] = node.inputs as [Value, Value, Value, Value];
  const [dx, dgamma, dbeta] = node.outputs as [Value, Value, Value];
  const record = l.norms.get(meanInput);
  if (!record) return null;
  const { y, mean, rstd, scale } = record;
  const { k, b } = l;
  const [n, c, h, w] = dx.dims as [number, number, number, number];
  const d: Activation = { layout: y.layout, value: l.of(gradient).get(y.layout) };
  const samples = k.pack(n, c);
  const count = n * h * w;
  const dMean = channelMean(l, d, samples);
  const product = channelMeanProduct(l, y, d, samples);
  const normalized = k.mul(k.sub(product, k.mul(mean, dMean)), rstd);
  const slope = k.mul(normalized, rstd);
  const offset = k.sub(k.mul(slope, mean), dMean);
  const u = depthwise(k, y.value, k.repeated(b.op('Neg', [slope]), samples), {
    bias: k.repeated(offset, samples),
    sum: d.value,
  });
  const gammaGradient = k.scaled(normalized, count);
  const sum = k.scaled(dMean, count);
  const plain = (value: Value) => k.slice(value, 0, 0, c);
  return [
    LaidOutValue.open(k, dx.type, { kind: 'scaled', u: l.laidOut(dx, y.layout, u, false), scale }),
    l.laidOut(dgamma, 'plain', plain(gammaGradient)),
    l.laidOut(dbeta, 'plain', plain(sum)),
  ];
};

/** Whether batch norm (and its gradient) are all that read a value. */
function consumersOf(l: LayoutPass, value: Value): boolean {
  return l.onlyReadBy(value, ['BatchNormTrain', 'BatchNormTrainGrad']);
}

/**
 * Positions that one sum of a kernel adds up, in float32 one after the other. Equal values round the same way at each
 * of them: of a white background over 112x112 positions the mean would be 2e-4 off, with 128 at a time it is 3e-6.
 */
const longestSum = 128;

/** How many sums the positions of a map are divided into, all of the same length: 8 for 32x32, 1 for 7x7. */
function sumsOf(positions: number): number {
  let sums = Math.ceil(positions / longestSum);
  while (positions % sums !== 0) sums++;
  return sums;
}

/** Mean over all positions of each channel: `[C]`. The pooling kernel reads a map faster than a reduction does. */
export function channelMean(l: LayoutPass, { value }: Activation, samples: number): Value {
  return once(l.means, value, () => {
    const { k } = l;
    const [n, c, h, w] = value.dims as [number, number, number, number];
    const sums = sumsOf(h * w);
    const parts = sums === 1 ? value : k.reshape(value, [1, n * c * sums, 1, (h * w) / sums]);
    return perChannel(l, meanOfSums(k, k.globalAverage(parts), [n, c], sums), [n, c], samples, 'ReduceMean');
  });
}

/**
 * Mean over all positions of x y for each channel: `[C]`. A depthwise convolution with one of them as the kernel,
 * which reads both once and writes nothing; ReduceSumSquare takes nine times as long.
 */
function channelMeanProduct(l: LayoutPass, x: Activation, y: Activation, samples: number): Value {
  const { k } = l;
  const [n, c, h, w] = x.value.dims as [number, number, number, number];
  const sums = sumsOf(h * w);
  const length = (h * w) / sums;
  const image = k.reshape(x.value, [1, n * c * sums, 1, length]);
  const kernel = k.reshape(y.value, [n * c * sums, 1, 1, length]);
  const products = k.conv(image, kernel, { kernel: [1, length], group: n * c * sums });
  const maps = meanOfSums(k, products, [n, c], sums);
  return k.scaled(perChannel(l, maps, [n, c], samples, 'ReduceSum'), 1 / (n * samples * length));
}

/** Of each map the mean of its `sums`, which lie one behind the other: N C values in blocked order. */
function meanOfSums(k: Kernels, values: Value, [n, c]: readonly [number, number], sums: number): Value {
  return sums === 1 ? values : k.globalAverage(k.reshape(values, [n, c, sums, 1]));
}

/** Values of each map of `[N, C, H, W]`, reduced over the batch and over samples that share a block: `[C]`. */
function perChannel(
  l: LayoutPass,
  maps: Value,
  [n, c]: readonly number[],
  samples: number,
  reduction: 'ReduceSum' | 'ReduceMean',
): Value {
  const rows = n! * samples;
  const table = l.k.reshape(maps, [rows, c! / samples]);
  if (rows === 1) return l.k.reshape(table, [c!]);
  return l.b.op(reduction, [table], { axes: [0], keepdims: false });
}
