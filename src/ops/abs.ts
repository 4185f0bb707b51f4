import { unary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Abs: NoAttributes;
  }
}

/** ONNX Abs. The gradient at 0 is 0, as PyTorch's. */
export const Abs = unary((b, dy, x) => b.op('Mul', [dy, b.op('Sign', [x])]));
