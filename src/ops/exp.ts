import { unary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Exp. */
export const Exp: StandardOperator<NoAttributes> = unary((b, dy, _x, y) => b.op('Mul', [dy, y]));
