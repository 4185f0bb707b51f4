import { unary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Reciprocal: d(1/x) = -dx/x^2. */
export const Reciprocal: StandardOperator<NoAttributes> = unary((b, dy, _x, y) =>
  b.op('Neg', [b.op('Mul', [dy, b.op('Mul', [y, y])])]),
);
