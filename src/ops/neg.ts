import { unary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Neg. */
export const Neg: StandardOperator<NoAttributes> = unary((b, dy) => b.op('Neg', [dy]));
