import type { Value } from '../../graph/graph.js';
import { elementCount } from '../../onnx/model.js';
import type { AddBlockAttributes } from '../../ops/addBlock.js';
import type { SliceAttributes } from '../../ops/slice.js';
import type { Kernels } from './kernels.js';
import type { Rule } from './layoutPass.js';
import type { ParameterForm } from '../parameterLayout.js';
import type { Layout, LaidOutValue } from './laidOutValue.js';

type Pair = readonly [number, number];

/** Rows of a matrix, by where they are in it. */
interface Rows {
  readonly length: number;
  readonly places: readonly number[];
}

/** Elements of a row that is worth an index: four cache lines. */
const shortestRow = 64;

/**
 * Slice along the first two axes, by rows that both tensors consist of. Of a blocked parameter, where it starts at a
 * block's first channel: whole blocks of channels, which may hold more than was asked for. One that starts within a block
 * is left to the row-major order, and put in blocks of its own.
 */
export const slice: Rule = (l, node) => {
  const [input] = node.inputs as [Value];
  const output = node.outputs[0]!;
  const x = l.of(input);
  const { starts, axes, steps } = node.attributes as SliceAttributes;
  const symbolic = input.shape.some((d) => typeof d === 'string');
  if (steps || symbolic || axes.some((axis) => axis < 0 || axis > 1)) return null;
  const { k } = l;
  const order = orderOf(k, x);
  const origin = order?.origin(input.dims.map((_, axis) => starts[axes.indexOf(axis)] ?? 0));
  if (!order || !origin) return null;
  const whole = x.get(order.layout);
  const shape = order.wholeBlocks(output.dims);
  const rows = rowsOf(order.matrix(whole.dims), order.matrix(shape), origin);
  if (!rows) return null;
  const taken = k.takeRows(whole, k.indices(rows.places), rows.length);
  return [l.laidOut(output, order.layout, k.reshape(taken, shape))];
};

/**
 * A parameter (its gradient) plus a block of it that starts at a block's first channel, by ScatterND over the rows that
 * both consist of. Unlike Pad and Add it reads and writes nothing but the block's place where its output is its input's
 * memory, and works on all threads: a third of their time.
 */
export const addBlock: Rule = (l, node) => {
  const [x, y] = (node.inputs as Value[]).map((input) => l.of(input)) as [LaidOutValue, LaidOutValue];
  const { starts } = node.attributes as AddBlockAttributes;
  const { k } = l;
  const order = orderOf(k, x);
  const origin = order?.origin(starts);
  const cut = x.dims.some((size, axis) => axis > 1 && y.dims[axis] !== size);
  if (!order || !origin || cut || !y.has(order.layout)) return null;
  const [sum, part] = [x.get(order.layout), y.get(order.layout)];
  const rows = rowsOf(order.matrix(sum.dims), order.matrix(part.dims), origin);
  if (!rows) return null;
  const flat = [elementCount(sum.dims)];
  const added =
    elementCount(part.dims) === flat[0]
      ? k.add(k.reshape(sum, flat), k.reshape(part, flat))
      : k.addRows(sum, rows.places, part, rows.length);
  return [l.laidOut(node.outputs[0]!, order.layout, k.reshape(added, sum.dims))];
};

/** How a tensor lies in memory, as a matrix in which its parts along the first two axes are ranges of rows and columns. */
interface Order {
  readonly layout: Layout;
  matrix(dims: readonly number[]): Pair;
  /** Shape of a part with what it shares a block of channels with. */
  wholeBlocks(dims: readonly number[]): readonly number[];
  /** Where a part that starts at these indices begins in the matrix; null within a block of channels. */
  origin(starts: readonly number[]): Pair | null;
}

/** Null for an activation. */
function orderOf(k: Kernels, x: LaidOutValue): Order | null {
  const form = x.has('OIHWBiBo') ? 'OIHWBiBo' : x.has('OIHWBo') ? 'OIHWBo' : null;
  if (form) return blockedOrder(k, form, x.dims);
  if (!x.has('plain')) return null;
  const matrix = ([rows = 1, ...others]: readonly number[]): Pair => [rows, elementCount(others)];
  const [, , ...others] = x.dims;
  return {
    layout: 'plain',
    matrix,
    wholeBlocks: (dims) => dims,
    origin: ([row = 0, column = 0]) => [row, column * elementCount(others)],
  };
}

/** `[K/B, C kh kw B]` (`storedShape` of parameterLayout.ts). */
function blockedOrder(k: Kernels, form: ParameterForm, [, , ...window]: readonly number[]): Order {
  const inner = form === 'OIHWBiBo' ? k.block : 1;
  const matrix = ([outputs, inputs]: readonly number[]): Pair => [
    outputs! / k.block,
    inputs! * elementCount(window) * k.block,
  ];
  return {
    layout: form,
    matrix,
    wholeBlocks: ([outputs, inputs]) => [
      k.padded(outputs!),
      form === 'OIHWBiBo' ? k.padded(inputs!) : inputs!,
      ...window,
    ],
    origin: ([output = 0, input = 0]) =>
      output % k.block === 0 && input % inner === 0 ? matrix([output, input]) : null,
  };
}

/**
 * The longest rows that a matrix and a block of it from `origin` on both consist of, and which of them are the block's;
 * null where they are not worth an index each.
 */
function rowsOf([, columns]: Pair, [rows, width]: Pair, [row, column]: Pair): Rows | null {
  const length = [width, column].reduce(commonDivisor, columns);
  if (length < shortestRow) return null;
  const [perRow, inBlock, first] = [columns / length, width / length, column / length];
  const places = Array.from({ length: rows }, (_, r) =>
    Array.from({ length: inBlock }, (_, c) => (row + r) * perRow + first + c),
  );
  return { length, places: places.flat() };
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}
