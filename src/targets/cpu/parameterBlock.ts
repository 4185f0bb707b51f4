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
  const { value, wanted, shape } = inBlocks(k, x.get(form), node.outputs[0]!.dims, form);
  const cut = k.slice(k.slice(value, 1, 0, wanted.columns), 0, 0, wanted.rows);
  return [l.placed(node.outputs[0]!, form, k.reshape(cut, shape))];
};

/** Pad of a parameter's leading block with zeros to a larger one. */
export const pad: Rule = (l, node) => {
  const x = l.of(node.inputs[0]!);
  const { pads } = node.attributes as PadAttributes;
  const form = formOf(x);
  if (!form || pads.some((n, i) => n > 0 && i !== 4 && i !== 5)) return null;
  const { k } = l;
  const { value, blocks, wanted, shape } = inBlocks(k, x.get(form), node.outputs[0]!.dims, form);
  const grown = k.pad(value, [0, 0, 0], [wanted.rows - blocks.rows, wanted.columns - blocks.columns, 0]);
  return [l.placed(node.outputs[0]!, form, k.reshape(grown, shape))];
};

function formOf(x: Placed): ParameterForm | null {
  return x.has('kernel') ? 'kernel' : x.has('stem') ? 'stem' : null;
}

/** A parameter as `[rows, columns, elements]` of blocks, and how many of them make up one of shape `[K, C, kh, kw]`. */
function inBlocks(k: Kernels, value: Value, asked: readonly number[], form: ParameterForm) {
  const [outputs, inputs, kh, kw] = value.dims as [number, number, number, number];
  const inner = form === 'kernel' ? k.block : 1;
  const blocks = { rows: outputs / k.block, columns: inputs / inner };
  const wanted = { rows: Math.ceil(asked[0]! / k.block), columns: Math.ceil(asked[1]! / inner) };
  return {
    value: k.reshape(value, [blocks.rows, blocks.columns, kh * kw * inner * k.block]),
    blocks,
    wanted,
    shape: [wanted.rows * k.block, wanted.columns * inner, kh, kw],
  };
}
