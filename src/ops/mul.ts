import { binary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Mul: NoAttributes;
  }
}

/** ONNX Mul, broadcasting. */
export const Mul = binary(
  (b, dy, _x, y) => b.op('Mul', [dy, y]),
  (b, dy, x) => b.op('Mul', [dy, x]),
);
