import type { Value } from '../../graph/graph.js';
import { once } from '../../once.js';
import { elementCount } from '../../onnx/model.js';
import type { ConvInputGradAttributes } from '../../ops/convInputGrad.js';
import {
  blockedConv,
  byWinograd,
  convLayout,
  foldedConv,
  geometryOf,
  mapOf,
  type Geometry,
} from './convolution.js';
import type { LayoutPass, Rule } from './layoutPass.js';
import { packed, packedWeights, type PackedGeometry } from './packing.js';
import { LaidOutValue, type MapLayout, type Pending } from './laidOutValue.js';
import { winogradInputGradient } from './winograd.js';

/**
 * ConvInputGrad: a convolution of dY with the taps of W reversed and its channel axes exchanged, open for the
 * gradient of another branch as a summand. A factor that is still open on dY goes into W.
 */
export const convInputGrad: Rule = (l, node) => {
  const [gradient, weight] = node.inputs as [Value, Value];
  const output = node.outputs[0]!;
  const w = l.of(weight);
  const dy = l.of(gradient);
  const attributes = node.attributes as ConvInputGradAttributes;
  const logical = geometryOf(output.shape, w.dims, gradient.shape, attributes);
  const g = logical && packed(l, logical, false);
  if (!g || !w.has('OIHWBiBo') || (dy.pending?.kind !== 'scaled' && !dy.zeroPadded)) return null;
  const layout = convLayout(l, logical);
  const { k } = l;
  const { u, scale } = openFactor(dy, w.dims);
  const last = l.weightGradients.get(gradient);
  const raw = mapOf(l, u.get(layout), layout, [g.batch, g.outputs]);
  // The weight gradient first: afterwards nobody needs the layer's input.
  const image = last ? k.after(raw, last) : raw;
  const factor = scale && k.repeated(scale, g.outputs / scale.dims[0]!);
  const turned = turnedBlocks(l, k.after(packedWeights(l, w, 'OIHWBiBo', g), raw), factor);
  const pending = pendingGradient(l, image, turned, layout, g, logical);
  return [LaidOutValue.open(k, output.type, pending, l.whole(output))];
};

/**
 * dY = u scale, or dY itself and no factor. A factor that is open on dY had better go into W and its gradient where
 * these are small: turning the blocks of W by products with diagonal matrices takes 2.5 times as long as reordering
 * them, 0.12 ms a megabyte more, the product of the weight gradient with them 0.1; a pass over dY takes 0.05.
 */
export function openFactor(
  dy: LaidOutValue,
  weight: readonly number[],
): { readonly u: LaidOutValue; readonly scale: Value | null } {
  const pays = elementCount(dy.dims) > 4 * elementCount(weight);
  return pays && dy.pending?.kind === 'scaled' ? dy.pending : { u: dy, scale: null };
}

function pendingGradient(
  l: LayoutPass,
  image: Value,
  turned: TurnedBlocks,
  layout: MapLayout,
  g: PackedGeometry,
  logical: Geometry,
): Pending {
  const { k } = l;
  // The samples of dX as its own channels pack them.
  const own = k.mapDims([logical.batch, logical.inputs, g.height, g.width]);
  if (g.kernel === 1 && g.stride > 1) {
    const half = k.conv(image, chosenTaps(l, turned, [[0]]), { kernel: [1, 1] });
    const shape = [logical.batch, logical.inputs, g.rows, g.columns];
    return {
      kind: 'even',
      half: LaidOutValue.of(k, { dtype: 'float32', shape }, layout, mapOf(l, half, layout, own)),
    };
  }
  if (g.stride > 1) {
    return {
      kind: 'phases',
      emit: (even) => mapOf(l, phases(l, image, turned, g, even), 'blocked', own),
    };
  }
  const convolved = (sum: Value | null) => {
    if (layout === 'folded' && byWinograd(l, g, 'inputGradient')) {
      return winogradInputGradient(l, image, turned, g, sum);
    }
    const weight = chosenTaps(l, turned, reversedTaps(g.kernel));
    return layout === 'folded'
      ? foldedConv(l, image, weight, g.kernel, g.batch, { sum })
      : blockedConv(l, image, weight, g, { sum });
  };
  return {
    kind: 'conv',
    layout,
    emit: ({ sum }) =>
      mapOf(l, convolved(sum ? mapOf(l, sum, layout, [g.batch, g.inputs]) : null), layout, own),
  };
}

function reversedTaps(kernel: number): number[][] {
  return Array.from({ length: kernel }, (_, i) =>
    Array.from({ length: kernel }, (_, j) => (kernel - 1 - i) * kernel + (kernel - 1 - j)),
  );
}

/**
 * Stride 2: an input row 2i + r was reached by the taps of one parity only, so each of the four phases of dX is a
 * small convolution of dY with those taps, at full density.
 */
function phases(l: LayoutPass, image: Value, turned: TurnedBlocks, g: PackedGeometry, even?: Value): Value {
  const { kernel } = g;
  const pad = (kernel - 1) / 2;
  // Row 2i + r receives tap t of window o where 2 o + t - pad = 2 i + r.
  const along = (parity: number) => {
    const taps = Array.from({ length: kernel }, (_, t) => t).filter((t) => (t - pad - parity) % 2 === 0);
    // o = i + (r + pad - t) / 2, in ascending order of o.
    const offsets = taps.map((t) => (parity + pad - t) / 2).reverse();
    return { taps: taps.reverse(), before: -Math.min(...offsets), after: Math.max(...offsets) };
  };
  const phase = (row: number, column: number) => {
    const [down, across] = [along(row), along(column)];
    const weight = chosenTaps(
      l,
      turned,
      down.taps.map((i) => across.taps.map((j) => i * kernel + j)),
    );
    return l.k.conv(image, weight, {
      kernel: [down.taps.length, across.taps.length],
      pads: [down.before, across.before, down.after, across.after],
      sum: row === 0 && column === 0 && even ? mapOf(l, even, 'blocked', [g.batch, g.inputs]) : null,
    });
  };
  return interleave(
    l,
    [g.batch, g.inputs, g.rows, g.columns],
    [phase(0, 0), phase(0, 1), phase(1, 0), phase(1, 1)],
  );
}

/** A blocked map of twice the size from its four phases, each `[N, C, H, W]`: even-even, even-odd, odd-even, odd-odd. */
function interleave(
  l: LayoutPass,
  dims: readonly number[],
  parts: readonly [Value, Value, Value, Value],
): Value {
  const { k } = l;
  const [n, c, h, w] = dims as [number, number, number, number];
  const rows = (n * c * h) / k.block;
  const [ee, eo, oe, oo] = parts.map((part) => k.reshape(part, [rows * w, k.block])) as [
    Value,
    Value,
    Value,
    Value,
  ];
  const even = k.reshape(k.concat([ee, eo], 1), [rows, 2 * w * k.block]);
  const odd = k.reshape(k.concat([oe, oo], 1), [rows, 2 * w * k.block]);
  return k.reshape(k.concat([even, odd], 1), [n, c, 2 * h, 2 * w]);
}

/** Blocks `[K/B C/B taps, B B]` of W, each transposed to `[out, in]` and scaled. */
export interface TurnedBlocks {
  readonly value: Value;
  readonly rows: number;
  readonly columns: number;
  readonly taps: number;
}

/**
 * One product with diagonal matrices transposes every block and scales the output channels. Without a factor a block is
 * an image of one row, which reordering transposes.
 */
function turnedBlocks(l: LayoutPass, weight: Value, scale: Value | null): TurnedBlocks {
  const { k } = l;
  const { block } = k;
  const [outputs, inputs, kh, kw] = weight.dims as [number, number, number, number];
  const [rows, columns, taps] = [outputs / block, inputs / block, kh * kw];
  const turned = scale
    ? k.matMul(
        k.reshape(diagonals(l, scale), [rows, 1, block, block]),
        k.reshape(weight, [rows, columns * taps, block, block]),
        { transB: true },
      )
    : k.reorderInput(k.reshape(weight, [rows * columns * taps, block, 1, block]));
  return { value: k.reshape(turned, [rows * columns * taps, block * block]), rows, columns, taps };
}

/** Diagonal matrices `[K/B, B, B]` of a vector `[K]`. */
export function diagonals({ k, diagonals }: LayoutPass, scale: Value): Value {
  const { block } = k;
  return once(diagonals, scale, () =>
    k.mul(
      k.b.graph.constant(unitMatrix(block), [1, block, block], 'float32'),
      k.reshape(scale, [scale.dims[0]! / block, 1, block]),
    ),
  );
}

export function unitMatrix(size: number): Float32Array {
  return Float32Array.from({ length: size * size }, (_, i) => (i % (size + 1) === 0 ? 1 : 0));
}

/** The weights `[C, K, h, w]` of a convolution of dY, from the taps of W in the order given. */
function chosenTaps(
  l: LayoutPass,
  { value, rows, columns, taps }: TurnedBlocks,
  window: readonly number[][],
): Value {
  const { block } = l.k;
  const [h, w] = [window.length, window[0]!.length];
  const order: number[] = [];
  for (let c = 0; c < columns; c++) {
    for (let r = 0; r < rows; r++)
      for (const tap of window.flat()) order.push((r * columns + c) * taps + tap);
  }
  const asTheyAre = order.length === value.dims[0] && order.every((at, i) => at === i);
  const chosen = asTheyAre ? value : l.k.takeRows(value, l.k.indices(order), block ** 2);
  return l.k.reshape(chosen, [columns * block, rows * block, h, w]);
}
