import { unary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Sqrt: dx = dy / (2 sqrt(x)). */
export const Sqrt: StandardOperator<NoAttributes> = unary((b, dy, _x, y) =>
  b.op('Div', [b.op('Mul', [dy, b.scalarLike(0.5, dy)]), y]),
);
