import { unary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Relu. */
export const Relu: StandardOperator<NoAttributes> = unary((b, dy, _x, y) => b.op('ReluGrad', [dy, y]));
