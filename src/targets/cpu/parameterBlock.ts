import type { Value } from '../../graph/graph.js';
import type { PadAttributes } from '../../ops/pad.js';
import type { SliceAttributes } from '../../ops/slice.js';
import type { Kernels } from './kernels.js';
import type { Rule } from './lowering.js';
import type { ParameterForm, Placed } from './placed.js';

/**
 * Slice of a parameter that starts at a block's first channel: whole blocks of channels, which may hold more than was
 * asked for. One that starts within a block is left to the row-major order, and put in blocks of its own.
 */
export const slice: Rule = (l, node) => {
  const x = l.of(node.inputs[0]!);
  const { starts, axes, steps } = node.attributes as SliceAttributes;
  const form = formOf(x);
  if (!form || steps || axes.some((axis) => axis > 1)) return null;
  const { k } = l;
  const start = [0, 1].map((axis) => starts[axes.indexOf(axis)] ?? 0);
  const origin = originOf(k, form, start, x.dims);
  if (!origin) return null;
  const [row, column] = origin;
  const shape = wholeBlocks(k, form, node.outputs[0]!.dims);
  const [rows, columns] = stored(k, shape);
  const value = k.reshape(x.get(form), stored(k, x.get(form).dims));
  const cut = k.cut(value, [row, row + rows], [column, column + columns]);
  return [l.placed(node.outputs[0]!, form, k.reshape(cut, shape))];
};

/** Pad of a parameter's block with zeros to a larger one, in which it starts at a block's first channel. */
export const pad: Rule = (l, node) => {
  const x = l.of(node.inputs[0]!);
  const { pads } = node.attributes as PadAttributes;
  const form = formOf(x);
  if (!form || pads.some((n, i) => n > 0 && i % 4 > 1)) return null;
  const { k } = l;
  const origin = originOf(k, form, pads, x.dims);
  if (!origin) return null;
  const [row, column] = origin;
  const shape = wholeBlocks(k, form, node.outputs[0]!.dims);
  const [rows, columns] = stored(k, shape);
  const value = k.reshape(x.get(form), stored(k, x.get(form).dims));
  const grown = k.pad(
    value,
    [row, column, 0],
    [rows - row - value.dims[0]!, columns - column - value.dims[1]!, 0],
  );
  return [l.placed(node.outputs[0]!, form, k.reshape(grown, shape))];
};

/** Sum of two parameters (their gradients) of one shape. */
export function addParameters(k: Kernels, x: Value, y: Value): Value {
  const shape = stored(k, x.dims);
  return k.reshape(k.add(k.reshape(x, shape), k.reshape(y, shape)), x.dims);
}

function formOf(x: Placed): ParameterForm | null {
  return x.has('kernel') ? 'kernel' : x.has('stem') ? 'stem' : null;
}

function wholeBlocks(k: Kernels, form: ParameterForm, dims: readonly number[]): readonly number[] {
  const [outputs, inputs, kh, kw] = dims as [number, number, number, number];
  return [k.padded(outputs), form === 'kernel' ? k.padded(inputs) : inputs, kh, kw];
}

/** Where output and input channels start in a stored parameter `[K, C, kh, kw]`; null within a block of channels. */
function originOf(
  k: Kernels,
  form: ParameterForm,
  [output = 0, input = 0]: readonly number[],
  [, , ...window]: readonly number[],
): readonly [number, number, number] | null {
  const inner = form === 'kernel' ? k.block : 1;
  return output % k.block === 0 && input % inner === 0 ? stored(k, [output, input, ...window]) : null;
}

/**
 * `[K/B, C kh kw, B]` (`storedShape` of parameterLayout.ts), in which whole blocks of channels are a range of both axes.
 * Outputs of a graph have this shape; ending in another one would end in a copy.
 */
function stored(k: Kernels, [outputs, inputs, kh, kw]: readonly number[]): [number, number, number] {
  return [outputs! / k.block, inputs! * kh! * kw!, k.block];
}
