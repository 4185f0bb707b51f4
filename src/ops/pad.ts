import { int64 } from './reduction.js';
import type { StandardOperator } from './operator.js';
import { fixed, required } from './shapes.js';

/** Zeros added before every axis, then after every axis; not negative. */
export interface PadAttributes {
  readonly pads: readonly number[];
}

/** ONNX Pad, constant mode with zeros. */
export const Pad: StandardOperator<PadAttributes> = {
  domain: '',
  infer([input], { pads }) {
    const x = required(input, 'input');
    const rank = x.shape.length;
    if (pads.length !== 2 * rank || pads.some((p) => p < 0)) {
      throw new Error(`pads [${pads.join(',')}] are not ${2 * rank} non-negative numbers`);
    }
    const shape = x.shape.map((d, i) => {
      const grown = pads[i]! + pads[rank + i]!;
      return grown === 0 ? d : fixed(d, 'a padded dimension') + grown;
    });
    return [{ dtype: x.dtype, shape }];
  },
  gradient({ b, inputs: [x], gradients: [dy], attributes: { pads } }) {
    const axes = x!.shape.map((_, i) => i).filter((i) => dy!.dims[i] !== x!.dims[i]);
    if (axes.length === 0) return [dy!];
    return [
      b.op('Slice', [dy!], {
        starts: axes.map((i) => pads[i]!),
        ends: axes.map((i) => pads[i]! + x!.dims[i]!),
        axes,
      }),
    ];
  },
  flops: () => 0,
  emit: ({ pads }) => ({ constants: [int64(pads)] }),
};
