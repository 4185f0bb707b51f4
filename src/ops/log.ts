import { unary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Log, natural. */
export const Log: StandardOperator<NoAttributes> = unary((b, dy, x) => b.op('Div', [dy, x]));
