import { unary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Abs. The gradient at 0 is 0, as PyTorch's. */
export const Abs: StandardOperator<NoAttributes> = unary((b, dy, x) => b.op('Mul', [dy, b.op('Sign', [x])]));
