import { elementCount } from '../onnx/model.js';
import type { NoAttributes, StandardOperator } from './operator.js';
import { required } from './shapes.js';

/** ONNX Flatten at axis 1: `[N, ...]` to `[N, M]`; N may be symbolic. */
export const Flatten: StandardOperator<NoAttributes> = {
  domain: '',
  infer([input]) {
    const x = required(input, 'input');
    return [{ dtype: x.dtype, shape: [x.shape[0] ?? 1, elementCount(x.shape.slice(1))] }];
  },
  gradient: ({ b, inputs: [x], gradients: [dy] }) => [b.reshape(dy!, x!.shape)],
  flops: () => 0,
};
