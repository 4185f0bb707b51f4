import type { Value } from '../../graph/graph.js';
import { once } from '../../once.js';
import type { ConvAttributes } from '../../ops/conv.js';
import type { ConvPart, ConvSize } from './choices.js';
import type { LayoutPass, Rule } from './layoutPass.js';
import { packed, packedWeights } from './packing.js';
import { everySecond, oneTap, LaidOutValue, type MapLayout } from './laidOutValue.js';
import { winogradConv } from './winograd.js';

/** A convolution that the blocked kernels take: square window of odd size, padding that keeps the extent. */
export interface Geometry {
  readonly batch: number;
  readonly inputs: number;
  readonly outputs: number;
  readonly kernel: number;
  readonly stride: number;
  /** Of the input. */
  readonly height: number;
  readonly width: number;
  /** Of the output. */
  readonly rows: number;
  readonly columns: number;
}

/** Null for a convolution that takes the portable lowering. Shapes: x `[N, C, H, W]`, w `[K, C, k, k]`, y `[N, K, OH, OW]`. */
export function geometryOf(
  x: readonly (number | string)[],
  w: readonly number[],
  y: readonly (number | string)[],
  { strides, pads, dilations = [1, 1], group = 1 }: ConvAttributes,
): Geometry | null {
  if ([...x, ...y].some((d) => typeof d === 'string')) return null;
  const [batch, inputs, height, width] = x as [number, number, number, number];
  const [outputs, , kernel, kernelWidth] = w as [number, number, number, number];
  const [, , rows, columns] = y as [number, number, number, number];
  const stride = strides[0];
  const same = kernel % 2 === 1 && pads.every((pad) => pad === (kernel - 1) / 2);
  const even = stride === 1 || (height % 2 === 0 && width % 2 === 0);
  const square = kernel === kernelWidth && strides[1] === stride && (stride === 1 || stride === 2) && even;
  if (!same || !square || group !== 1 || dilations[0] !== 1 || dilations[1] !== 1) return null;
  return { batch, inputs, outputs, kernel, stride, height, width, rows, columns };
}

/** The layout of maps of a size. */
export function mapLayout(l: LayoutPass, batch: number, height: number, width: number): MapLayout {
  return l.folds({ batch, height, width }) ? 'folded' : 'blocked';
}

/**
 * The layout in which a convolution and both of its gradients run: that of its output map. E.g. 3x3 over 8x8: folded,
 * over 32x32: blocked. Blocked in any case:
 * - a window with a stride; where its input is folded already, `spreadPays` and the weight gradient know better;
 * - an input and an output that pack samples differently (4 and 8 channels, say), since only blocked maps have the same
 *   memory in both ways of counting.
 */
export function convLayout(l: LayoutPass, g: Geometry): MapLayout {
  const { batch, kernel, stride, rows, columns, inputs, outputs } = g;
  if (kernel > 1 && stride > 1) return 'blocked';
  if (l.k.pack(batch, inputs) !== l.k.pack(batch, outputs)) return 'blocked';
  return mapLayout(l, batch, rows, columns);
}

export function sizeOf({ rows, columns, ...g }: Geometry): ConvSize {
  return { ...g, height: rows, width: columns };
}

/** Whether a part of a convolution in folded layout goes by Winograd. */
export function byWinograd(l: LayoutPass, g: Geometry, part: ConvPart): boolean {
  return g.kernel === 3 && g.stride === 1 && l.choices.winograd(sizeOf(g), part);
}

/** Conv: open, so that a batch norm can hand it a bias. */
export const conv: Rule = (l, node) => {
  const [input, weight, bias] = node.inputs as [Value, Value, Value | null];
  const x = l.of(input);
  const w = l.of(weight);
  const output = node.outputs[0]!;
  const logical = geometryOf(x.type.shape, w.dims, output.shape, node.attributes as ConvAttributes);
  const form = w.has('OIHWBo') ? 'OIHWBo' : 'OIHWBiBo';
  const g = logical && packed(l, logical, form === 'OIHWBo');
  if (!g || bias || !x.zeroPadded || !w.has(form)) return null;
  // A 1x1 window with a stride reads every second position of a blocked map, which a plain image is not.
  if (form === 'OIHWBo' && g.kernel === 1 && g.stride > 1) return null;
  const { k } = l;
  const spread = form === 'OIHWBiBo' && g.samples === 1 && spreadPays(l, x, g);
  const layout = spread ? 'folded' : form === 'OIHWBo' ? 'blocked' : convLayout(l, logical);
  const image =
    form === 'OIHWBo'
      ? k.reshape(x.get('plain'), [g.batch, g.inputs, g.height, g.width])
      : mapOf(l, inputOf(l, x, logical, layout), layout, [g.batch, g.inputs]);
  const kernel = packedWeights(l, w, form, g);
  const own = k.mapDims(output.dims);
  const emit = ({ bias, sum }: { bias?: Value; sum?: Value }) => {
    const rest = {
      bias: bias ? k.repeated(bias, g.outputs / bias.dims[0]!) : null,
      sum: sum ? mapOf(l, sum, layout, [g.batch, g.outputs]) : null,
    };
    const y = spread
      ? spreadConv(l, image, kernel, g, rest)
      : layout === 'folded'
        ? byWinograd(l, g, 'forward')
          ? winogradConv(l, image, kernel, g, rest)
          : foldedConv(l, image, kernel, g.kernel, g.batch, rest)
        : blockedConv(l, image, kernel, g, rest);
    return mapOf(l, y, layout, own);
  };
  return [LaidOutValue.open(k, output.type, { kind: 'conv', layout, emit }, l.whole(output))];
};

/**
 * Whether a window with a stride had better be spread out. Where a row of outputs is shorter than four, the kernels keep
 * few of their sums busy and reach half of their speed; the map must be folded already.
 */
function spreadPays(
  l: LayoutPass,
  x: LaidOutValue,
  { kernel, stride, batch, rows, columns }: Geometry,
): boolean {
  return (
    kernel > 1 &&
    stride > 1 &&
    columns < 4 &&
    x.has('folded') &&
    mapLayout(l, batch, rows, columns) === 'folded'
  );
}

/** A convolution with a stride in folded layout: a 1x1 window over the taps of every output, in the order of the weights. */
function spreadConv(l: LayoutPass, x: Value, w: Value, g: Geometry, rest: Rest): Value {
  const { k } = l;
  const { kernel, stride, batch, inputs, outputs, height, width, rows, columns } = g;
  const { block } = k;
  const blocks = inputs / block;
  const taps = Array.from({ length: kernel }, (_, tap) => tap);
  const spread = taps.flatMap((row) => {
    const met = metByTap(l, k.reshape(x, [blocks, block, height, width * batch]), {
      kernel,
      stride,
      tap: row,
    });
    const lines = k.reshape(met, [blocks * rows, block, width, batch]);
    return taps.map((column) =>
      k.reshape(metByTap(l, lines, { kernel, stride, tap: column }), [
        blocks,
        1,
        rows * columns * batch * block,
      ]),
    );
  });
  const image = k.reshape(k.concat(spread, 1), [1, kernel ** 2 * inputs, rows, columns * batch]);
  return k.conv(image, k.reshape(w, [outputs, kernel ** 2 * inputs, 1, 1]), { kernel: [1, 1], ...rest });
}

/**
 * The rows of a blocked image of B channels that one tap of a window along them meets, zeros for those outside. A
 * depthwise convolution moves, pads and chooses on all threads; Pad and Slice copy on one.
 */
export function metByTap(
  { k }: LayoutPass,
  x: Value,
  { kernel, stride, tap }: { readonly kernel: number; readonly stride: number; readonly tap: number },
): Value {
  const height = x.dims[2]!;
  const pad = (kernel - 1) / 2;
  return oneTap(k, x, [kernel, 1], tap, {
    strides: [stride, 1],
    pads: [pad, 0, stride * (height / stride - 1) + kernel - height - pad, 0],
  });
}

/** A blocked map with its samples packed otherwise: the memory is the same. A folded one stays as it is. */
export function mapOf(l: LayoutPass, value: Value, layout: MapLayout, [n, c]: readonly number[]): Value {
  const [, , h, w] = value.dims as [number, number, number, number];
  return layout === 'folded' ? value : l.k.reshape(value, [n!, c!, h, w]);
}

/** What a convolution reads in its layout: a 1x1 window with a stride reads a map of half the size. */
export function inputOf(
  l: LayoutPass,
  x: LaidOutValue,
  { kernel, stride, inputs, batch, rows, columns }: Geometry,
  layout: MapLayout,
): Value {
  if (kernel > 1 || stride === 1) return x.get(layout);
  return once(l.halves, x, () => halved(l, x, [batch, inputs, rows, columns])).get(layout);
}

function halved(l: LayoutPass, x: LaidOutValue, shape: readonly number[]): LaidOutValue {
  const layout = x.map;
  const value = everySecond(l.k, x.get(layout), layout, l.k.mapDims(x.dims)[0]);
  return LaidOutValue.of(l.k, { dtype: 'float32', shape }, layout, value, x.zeroPadded);
}

type Rest = { readonly bias?: Value | null; readonly sum?: Value | null };

export function blockedConv(
  l: LayoutPass,
  x: Value,
  w: Value,
  { kernel, stride }: { kernel: number; stride: number },
  rest: Rest,
): Value {
  const pad = (kernel - 1) / 2;
  const step = kernel === 1 ? 1 : stride;
  return l.k.conv(x, w, {
    kernel: [kernel, kernel],
    strides: [step, step],
    pads: [pad, pad, pad, pad],
    ...rest,
  });
}

/**
 * A convolution with stride 1 in folded layout: a step of one column is N columns of memory. Narrow maps are padded
 * beforehand, which the kernel is slow at.
 */
export function foldedConv(
  l: LayoutPass,
  x: Value,
  w: Value,
  kernel: number,
  batch: number,
  rest: Rest,
): Value {
  if (kernel === 1) return l.k.conv(x, w, { kernel: [1, 1], ...rest });
  const { k } = l;
  const [, channels, height, wide] = x.dims as [number, number, number, number];
  const pad = (kernel - 1) / 2;
  const shape = { kernel: [kernel, kernel], dilations: [1, batch] } as const;
  if (height > 4) return k.conv(x, w, { ...shape, pads: [pad, pad * batch, pad, pad * batch], ...rest });
  const rows = k.reshape(x, [1, channels / k.block, height, wide * k.block]);
  const margin = [0, 0, 0, pad * batch * k.block];
  const padded = k.reshape(k.pad(rows, margin, margin), [1, channels, height, wide + 2 * pad * batch]);
  return k.conv(padded, w, { ...shape, pads: [pad, 0, pad, 0], ...rest });
}
