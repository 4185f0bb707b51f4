import { notDifferentiable, type StandardOperator } from './operator.js';
import { required } from './shapes.js';

/** Dimensions from `start` (inclusive) to `end` (exclusive); default all. */
export interface ShapeAttributes {
  readonly start?: number;
  readonly end?: number;
}

/** ONNX Shape: the dimensions of a tensor, int64; `start` and `end` since opset 15. */
export const Shape: StandardOperator<ShapeAttributes> = {
  domain: '',
  infer([input], { start = 0, end }) {
    const { shape } = required(input, 'data');
    const stop = end ?? shape.length;
    if (![start, stop].every(Number.isInteger) || start < 0 || start > stop || stop > shape.length) {
      throw new Error(`${start} to ${stop} are no dimensions of [${shape.join(',')}]`);
    }
    return [{ dtype: 'int64', shape: [stop - start] }];
  },
  gradient: notDifferentiable,
  flops: () => 0,
  emit: ({ start, end }) => ({
    attributes: { ...(start !== undefined && { start }), ...(end !== undefined && { end }) },
  }),
};
