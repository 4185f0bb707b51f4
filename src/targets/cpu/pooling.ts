import type { Node, Value } from '../../graph/graph.js';
import type { ExpandAttributes } from '../../ops/expand.js';
import type { MaxPoolAttributes } from '../../ops/maxPool.js';
import type { Kernels } from './kernels.js';
import type { LayoutPass, Rule } from './layoutPass.js';
import { oneTap, LaidOutValue } from './laidOutValue.js';

/**
 * MaxPool on blocked maps, where nobody reads the indices, which the blocked kernel does not compute, or only a
 * gradient that has a rule here.
 */
export const maxPool: Rule = (l, node) => {
  const x = l.of(node.inputs[0]!);
  const [output, indices] = node.outputs as [Value, Value];
  if (x.native === 'plain') return null;
  const attributes = node.attributes as MaxPoolAttributes;
  const readers = l.readersOf(indices);
  if (!readers.every((reader) => reader && hasRule(l, reader))) return null;
  const { kernelShape, strides, pads } = attributes;
  const y = l.k.maxPool(x.get('blocked'), kernelShape, strides, pads);
  return [l.laidOut(output, 'blocked', y, x.zeroPadded), l.laidOut(indices, 'plain', y)];
};

/**
 * Whether a MaxPoolGrad has a rule here: 3x3 with stride 2 and padding 1, of a Relu whose gradient alone reads it. Then
 * no element is below the zeros that pad a map, and what a window of zeros passes on is dropped by Relu.
 */
function hasRule(l: LayoutPass, { op, inputs, outputs, attributes }: Node): boolean {
  if (op !== 'MaxPoolGrad') return false;
  const { kernelShape, strides, pads } = attributes as MaxPoolAttributes;
  const all = (values: readonly number[], wanted: number) => values.every((value) => value === wanted);
  const x = inputs[1]!;
  return (
    all(kernelShape, 3) &&
    all(strides, 2) &&
    all(pads, 1) &&
    x.producer?.op === 'Relu' &&
    l.readersOf(outputs[0]!).every((reader) => reader?.op === 'ReluGrad' && reader.inputs[1] === x)
  );
}

/**
 * MaxPoolGrad of 3x3 with stride 2 behind Relu, one axis after the other: the maxima of the rows within each window,
 * then those of the columns within each row. The first maximum along both axes is the first in row-major order, and a
 * window has three taps to compare along an axis instead of nine.
 */
export const maxPoolGrad: Rule = (l, node) => {
  const [gradient, input, output] = node.inputs as [Value, Value, Value];
  if (!hasRule(l, node) || l.of(output).native !== 'blocked') return null;
  const { k } = l;
  const x = l.of(input);
  const maxima = l.of(output).get('blocked');
  const incoming = l.of(gradient).get('blocked');
  // Relu's own step here, on a quarter of the positions: its gradient is all that reads this one.
  const dy = k.mul(incoming, k.step(k.after(maxima, incoming)));
  const image = k.after(x.get('blocked'), dy);
  const inRows = k.maxPool(image, [1, 3], [1, 2], [0, 1, 0, 1]);
  const dRows = toFirstMaximum(k, 'rows', inRows, maxima, dy);
  const dx = toFirstMaximum(k, 'columns', image, inRows, dRows);
  const placed = l.laidOut(node.outputs[0]!, 'blocked', dx, x.zeroPadded);
  l.reluApplied.set(node.outputs[0]!, input);
  return [placed];
};

type Axis = 'rows' | 'columns';

/**
 * The gradient of blocked maps `x`, given the `maxima` of windows along one axis and their gradient. Window i covers
 * 2i - 1 to 2i + 1: an even position lies in one window, an odd one in two. `x` is at least 0, and the gradient 0
 * where a maximum is.
 */
function toFirstMaximum(k: Kernels, axis: Axis, x: Value, maxima: Value, gradient: Value): Value {
  const along = (these: number, others: number) =>
    axis === 'rows' ? ([these, others] as const) : ([others, these] as const);
  // 0 where the maximum lies there, 1 where it is larger than what does.
  const strides = along(2, 1);
  const below = { weight: -1, sum: maxima, hardSigmoid: [1e38, 0], strides } as const;
  const before = axis === 'rows' ? ([1, 0, 0, 0] as const) : ([0, 1, 0, 0] as const);
  const notFirst = k.mul(gradient, oneTap(k, x, along(2, 1), 0, { ...below, pads: before }));
  // Neither of the first two is the maximum: the third is.
  const third = k.mul(notFirst, oneTap(k, x, [1, 1], 0, below));
  const even = k.sub(notFirst, third);
  const after = axis === 'rows' ? ([0, 0, 1, 0] as const) : ([0, 0, 0, 1] as const);
  const odd = oneTap(k, k.sub(gradient, notFirst), along(2, 1), 1, { pads: after, sum: third });
  const dx = interleaved(k, axis, even, odd);
  // The last odd position of an odd extent is padding.
  const size = axis === 'rows' ? 2 : 3;
  return dx.dims[size] === x.dims[size] ? dx : oneTap(k, dx, along(2, 1), 0, {});
}

/** Blocked maps of twice the extent along an axis, `even` at its even positions. */
function interleaved(k: Kernels, axis: Axis, even: Value, odd: Value): Value {
  const [n, c, h, w] = even.dims as [number, number, number, number];
  const rows = (n * c * h * (axis === 'rows' ? 1 : w)) / k.block;
  const parts = [even, odd].map((part) => k.reshape(part, [rows, (n * c * h * w) / rows]));
  return k.reshape(k.concat(parts, 1), axis === 'rows' ? [n, c, 2 * h, w] : [n, c, h, 2 * w]);
}

/** GlobalAveragePool: `[N, C, H, W]` -> `[N, C, 1, 1]`, plain. */
export const globalAveragePool: Rule = (l, node) => {
  const x = l.of(node.inputs[0]!);
  if (x.native === 'plain') return null;
  const { k } = l;
  const [samples, channels] = x.dims as [number, number];
  const [n, c, h, w] = k.mapDims(x.dims);
  const blocks = c / k.block;
  const means =
    x.native === 'folded'
      ? k.transpose(
          l.b.op('ReduceMean', [k.reshape(x.get('folded'), [blocks, h * w, n, k.block])], {
            axes: [1],
            keepdims: false,
          }),
          [1, 0, 2],
        )
      : k.globalAverage(x.get('blocked'));
  const whole = k.slice(k.reshape(means, [n, c]), 1, 0, (samples * channels) / n);
  return [l.laidOut(node.outputs[0]!, 'plain', k.reshape(whole, [samples, channels, 1, 1]))];
};

/** Expand of `[N, C, 1, 1]` to a map, the gradient of GlobalAveragePool: open, for the layout that is asked for. */
export const expand: Rule = (l, node) => {
  const input = node.inputs[0]!;
  const { shape } = node.attributes as ExpandAttributes;
  const [n, c, h, w] = input.shape;
  if (input.shape.length !== 4 || h !== 1 || w !== 1 || shape[0] !== n || shape[1] !== c) return null;
  const value = l.k.reshape(l.of(input).get('plain'), [shape[0]!, shape[1]!]);
  return [LaidOutValue.open(l.k, node.outputs[0]!.type, { kind: 'spread', value })];
};
