import { elementCount } from '../onnx/model.js';
import { int64 } from './reduction.js';
import type { StandardOperator } from './operator.js';
import { required } from './shapes.js';

export interface ReshapeAttributes {
  readonly shape: readonly number[];
}

/** ONNX Reshape to a static shape. A second input of the same content (int64) takes the attribute's place in ONNX. */
export const Reshape: StandardOperator<ReshapeAttributes> = {
  domain: '',
  infer([input], { shape }) {
    const x = required(input, 'input');
    if (elementCount(x.shape) !== elementCount(shape)) {
      throw new Error(
        `[${x.shape.join(',')}] has ${elementCount(x.shape)} elements, [${shape.join(',')}] ${elementCount(shape)}`,
      );
    }
    return [{ dtype: x.dtype, shape }];
  },
  gradient: ({ b, inputs: [x], gradients: [dy] }) => [b.reshape(dy!, x!.dims)],
  flops: () => 0,
  emit: ({ shape }, _opset, inputs) => (inputs > 1 ? {} : { constants: [int64(shape)] }),
};
