import type { NoAttributes, StandardOperator } from './operator.js';
import { rank, required } from './shapes.js';

declare module './operator.js' {
  interface OperatorAttributes {
    GlobalAveragePool: NoAttributes;
  }
}

/** ONNX GlobalAveragePool: `[N, C, H, W]` -> `[N, C, 1, 1]`. */
export const GlobalAveragePool: StandardOperator<NoAttributes> = {
  domain: '',
  infer([input]) {
    const x = rank(required(input, 'X'), 4, 'X');
    return [{ dtype: x.dtype, shape: [x.shape[0]!, x.shape[1]!, 1, 1] }];
  },
  gradient({ b, inputs: [x], gradients: [dy] }) {
    const [, , h, w] = x!.dims as [number, number, number, number];
    return [b.op('Expand', [b.op('Mul', [dy!, b.scalarLike(1 / (h * w), dy!)])], { shape: x!.dims })];
  },
};
