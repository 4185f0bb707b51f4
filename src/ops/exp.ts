import { unary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Exp: NoAttributes;
  }
}

/** ONNX Exp. */
export const Exp = unary((b, dy, _x, y) => b.op('Mul', [dy, y]));
