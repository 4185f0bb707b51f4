import { unary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Reciprocal: NoAttributes;
  }
}

/** ONNX Reciprocal: d(1/x) = -dx/x^2. */
export const Reciprocal = unary((b, dy, _x, y) => b.op('Neg', [b.op('Mul', [dy, b.op('Mul', [y, y])])]));
