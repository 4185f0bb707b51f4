import { elementCount } from '../onnx/model.js';
import { int64 } from './reduction.js';
import type { StandardOperator } from './operator.js';
import { required } from './shapes.js';

export interface ReshapeAttributes {
  /** 0 stands for the dimension of the input at the same place, as in ONNX. */
  readonly shape: readonly number[];
}

/** ONNX Reshape; a symbolic dimension stays where it is. A second input of the same content (int64) takes the attribute's place in ONNX. */
export const Reshape: StandardOperator<ReshapeAttributes> = {
  domain: '',
  infer([input], { shape }) {
    const x = required(input, 'input');
    const [from, to] = [x.shape.filter((_, i) => shape[i] !== 0), shape.filter((d) => d !== 0)];
    if (elementCount(from) !== elementCount(to)) {
      throw new Error(
        `[${from.join(',')}] has ${elementCount(from)} elements, [${to.join(',')}] ${elementCount(to)}`,
      );
    }
    return [{ dtype: x.dtype, shape: shape.map((d, i) => (d === 0 ? x.shape[i]! : d)) }];
  },
  gradient: ({ b, inputs: [x], gradients: [dy] }) => [b.reshape(dy!, x!.dims)],
  flops: () => 0,
  emit: ({ shape }, _opset, inputs) => (inputs > 1 ? {} : { constants: [int64(shape)] }),
};
