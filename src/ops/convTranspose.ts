import { convFlops, type ConvAttributes } from './conv.js';
import { notDifferentiable, type StandardOperator } from './operator.js';
import { fixed, rank, required, sameTypes } from './shapes.js';

export interface ConvTransposeAttributes extends ConvAttributes {
  /** Rows and columns added at the bottom and right of the output. */
  readonly outputPadding?: readonly [number, number];
}

/** ONNX ConvTranspose, two-dimensional: X `[N, C, H, W]`, W `[C, K/group, kh, kw]`. Used by lowerings. */
export const ConvTranspose: StandardOperator<ConvTransposeAttributes> = {
  domain: '',
  infer([input, weight], { strides, pads, dilations = [1, 1], group = 1, outputPadding = [0, 0] }) {
    const x = rank(required(input, 'X'), 4, 'X');
    const w = rank(required(weight, 'W'), 4, 'W');
    sameTypes(x, w);
    if (x.shape[1] !== w.shape[0]) throw new Error(`X has ${x.shape[1]} channels, W accepts ${w.shape[0]}`);
    const extent = (axis: 0 | 1) =>
      strides[axis] * (fixed(x.shape[2 + axis], 'an extent of X') - 1) +
      outputPadding[axis] +
      dilations[axis] * (fixed(w.shape[2 + axis], 'an extent of W') - 1) +
      1 -
      pads[axis] -
      pads[axis + 2]!;
    const channels = fixed(w.shape[1], 'channels of W') * group;
    return [{ dtype: x.dtype, shape: [x.shape[0]!, channels, extent(0), extent(1)] }];
  },
  gradient: notDifferentiable,
  flops: ([x, w]) => convFlops(w!, x!),
  emit: ({ strides, pads, dilations = [1, 1], group = 1, outputPadding = [0, 0] }) => ({
    attributes: { strides, pads, dilations, group, output_padding: outputPadding },
  }),
};
