import type { NoAttributes, StandardOperator } from './operator.js';
import { rank, required } from './shapes.js';

/** ONNX GlobalAveragePool: `[N, C, H, W]` -> `[N, C, 1, 1]`. */
export const GlobalAveragePool: StandardOperator<NoAttributes> = {
  domain: '',
  infer([input]) {
    const x = rank(required(input, 'X'), 4, 'X');
    return [{ dtype: x.dtype, shape: [x.shape[0]!, x.shape[1]!, 1, 1] }];
  },
  gradient({ b, inputs: [x], gradients: [dy] }) {
    const [n, c, h, w] = x!.dims as [number, number, number, number];
    // ONNX Runtime treats the elements of [N, C, 1, 1] one by one, 30 times as slowly as those of [N, C].
    const share = b.op('Mul', [b.reshape(dy!, [n, c]), b.scalarLike(1 / (h * w), dy!)]);
    return [b.op('Expand', [b.reshape(share, [n, c, 1, 1])], { shape: x!.dims })];
  },
};
