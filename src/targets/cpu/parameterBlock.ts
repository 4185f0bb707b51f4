import type { Value } from '../../graph/graph.js';
import type { PadAttributes } from '../../ops/pad.js';
import type { SliceAttributes } from '../../ops/slice.js';
import type { Kernels } from './kernels.js';
import type { Rule } from './lowering.js';
import type { ParameterForm, Placed } from './placed.js';

/** Slice of the leading block of a parameter: whole blocks of channels, which may hold more than was asked for. */
export const slice: Rule = (l, node) => {
  const x = l.of(node.inputs[0]!);
  const { starts, axes, steps } = node.attributes as SliceAttributes;
  const form = formOf(x);
  if (!form || steps || starts.some((start) => start !== 0) || axes.some((axis) => axis > 1)) return null;
  const { k } = l;
  const shape = wholeBlocks(k, form, node.outputs[0]!.dims);
  const [rows, columns] = stored(k, shape);
  const value = k.reshape(x.get(form), stored(k, x.get(form).dims));
  const cut = k.slice(k.slice(value, 1, 0, columns), 0, 0, rows);
  return [l.placed(node.outputs[0]!, form, k.reshape(cut, shape))];
};

/** Pad of a parameter's leading block with zeros to a larger one. */
export const pad: Rule = (l, node) => {
  const x = l.of(node.inputs[0]!);
  const { pads } = node.attributes as PadAttributes;
  const form = formOf(x);
  if (!form || pads.some((n, i) => n > 0 && i !== 4 && i !== 5)) return null;
  const { k } = l;
  const shape = wholeBlocks(k, form, node.outputs[0]!.dims);
  const [rows, columns] = stored(k, shape);
  const value = k.reshape(x.get(form), stored(k, x.get(form).dims));
  const grown = k.pad(value, [0, 0, 0], [rows - value.dims[0]!, columns - value.dims[1]!, 0]);
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

/**
 * `[K/B, C kh kw, B]` (`storedShape` of parameterLayout.ts), in which a leading block is a leading part of both axes.
 * Outputs of a graph have this shape; ending in another one would end in a copy.
 */
function stored(k: Kernels, [outputs, inputs, kh, kw]: readonly number[]): [number, number, number] {
  return [outputs! / k.block, inputs! * kh! * kw!, k.block];
}
