import { binary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Mul, broadcasting. */
export const Mul: StandardOperator<NoAttributes> = binary(
  (b, dy, _x, y) => b.op('Mul', [dy, y]),
  (b, dy, x) => b.op('Mul', [dy, x]),
);
