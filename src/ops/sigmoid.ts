import { unary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Sigmoid: dx = dy y (1 - y). */
export const Sigmoid: StandardOperator<NoAttributes> = unary((b, dy, _x, y) =>
  b.op('Mul', [dy, b.op('Mul', [y, b.op('Sub', [b.scalarLike(1, y), y])])]),
);
