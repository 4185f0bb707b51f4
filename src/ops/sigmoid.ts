import { unary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Sigmoid: NoAttributes;
  }
}

/** ONNX Sigmoid: dx = dy y (1 - y). */
export const Sigmoid = unary((b, dy, _x, y) =>
  b.op('Mul', [dy, b.op('Mul', [y, b.op('Sub', [b.scalarLike(1, y), y])])]),
);
