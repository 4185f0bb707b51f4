import type { StandardOperator } from './operator.js';
import { fixed, rank, required, windowed } from './shapes.js';

export interface MaxPoolAttributes {
  readonly kernelShape: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

/**
 * ONNX MaxPool, two-dimensional: `[N, C, H, W]` -> Y `[N, C, OH, OW]` and Indices, the flat positions of the
 * maxima in the whole input (the first of equal ones).
 */
export const MaxPool: StandardOperator<MaxPoolAttributes> = {
  domain: '',
  infer([input], { kernelShape, strides, pads }) {
    const x = rank(required(input, 'X'), 4, 'X');
    const h = windowed(fixed(x.shape[2], 'height'), kernelShape[0], strides[0], pads[0] + pads[2]);
    const w = windowed(fixed(x.shape[3], 'width'), kernelShape[1], strides[1], pads[1] + pads[3]);
    const shape = [x.shape[0]!, x.shape[1]!, h, w];
    return [
      { dtype: x.dtype, shape },
      { dtype: 'int64', shape },
    ];
  },
  gradient({ b, inputs: [x], outputs: [y, indices], gradients: [dy], attributes }) {
    return [b.op('MaxPoolGrad', [dy!, x!, y!, indices!], attributes)];
  },
  emit: ({ kernelShape, strides, pads }) => ({ attributes: { kernel_shape: kernelShape, strides, pads } }),
};
