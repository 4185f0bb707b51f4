import { floatsOf, type FloatType } from '../onnx/model.js';
import type { NoAttributes, StandardOperator } from './operator.js';
import { mapShape, rank, required } from './shapes.js';

/** ONNX GlobalAveragePool: `[N, C, H, W]` -> `[N, C, 1, 1]`; N may be symbolic. */
export const GlobalAveragePool: StandardOperator<NoAttributes> = {
  domain: '',
  infer([input]) {
    const x = rank(required(input, 'X'), 4, 'X');
    return [{ dtype: x.dtype, shape: [x.shape[0]!, x.shape[1]!, 1, 1] }];
  },
  gradient({ b, inputs: [x], gradients: [dy] }) {
    const [h, w] = mapShape(x!) as [number, number];
    if (typeof x!.shape[0] === 'string') {
      const dtype = dy!.dtype as FloatType;
      const shares = floatsOf(dtype, new Float32Array(h * w).fill(1 / (h * w)));
      return [b.op('Mul', [dy!, b.graph.constant(shares, [1, 1, h, w], dtype)])];
    }
    const [n, c] = x!.dims as [number, number, number, number];
    // ONNX Runtime treats the elements of [N, C, 1, 1] one by one, 30 times as slowly as those of [N, C].
    const share = b.op('Mul', [b.reshape(dy!, [n, c]), b.scalarLike(1 / (h * w), dy!)]);
    return [b.op('Expand', [b.reshape(share, [n, c, 1, 1])], { shape: x!.dims })];
  },
};
