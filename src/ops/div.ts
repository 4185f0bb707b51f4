import { binary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Div: NoAttributes;
  }
}

/** ONNX Div, broadcasting: d(x/y) = dx/y - (x/y) dy/y. */
export const Div = binary(
  (b, dy, _x, y) => b.op('Div', [dy, y]),
  (b, dy, _x, y, out) => b.op('Neg', [b.op('Mul', [dy, b.op('Div', [out, y])])]),
);
