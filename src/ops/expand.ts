import { sameShape } from '../graph/graph.js';
import { int64 } from './reduction.js';
import type { StandardOperator } from './operator.js';
import { broadcast, required } from './shapes.js';

export interface ExpandAttributes {
  readonly shape: readonly number[];
}

/** ONNX Expand: broadcasts to a static shape. The driver sums the gradient over the broadcast axes. */
export const Expand: StandardOperator<ExpandAttributes> = {
  domain: '',
  infer([input], { shape }) {
    const x = required(input, 'input');
    const out = broadcast(x.shape, shape);
    if (!sameShape(out, shape))
      throw new Error(`[${x.shape.join(',')}] does not expand to [${shape.join(',')}]`);
    return [{ dtype: x.dtype, shape }];
  },
  gradient: ({ gradients: [dy] }) => [dy!],
  flops: () => 0,
  emit: ({ shape }) => ({ constants: [int64(shape)] }),
};
