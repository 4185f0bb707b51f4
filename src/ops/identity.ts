import { unary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Identity. */
export const Identity: StandardOperator<NoAttributes> = unary((_b, dy) => dy);
