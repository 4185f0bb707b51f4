import { binary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Div, broadcasting: d(x/y) = dx/y - (x/y) dy/y. */
export const Div: StandardOperator<NoAttributes> = binary(
  (b, dy, _x, y) => b.op('Div', [dy, y]),
  (b, dy, _x, y, out) => b.op('Neg', [b.op('Mul', [dy, b.op('Div', [out, y])])]),
);
