import { unary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Sqrt: NoAttributes;
  }
}

/** ONNX Sqrt: dx = dy / (2 sqrt(x)). */
export const Sqrt = unary((b, dy, _x, y) => b.op('Div', [b.op('Mul', [dy, b.scalarLike(0.5, dy)]), y]));
