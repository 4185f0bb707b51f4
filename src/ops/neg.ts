import { unary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Neg: NoAttributes;
  }
}

/** ONNX Neg. */
export const Neg = unary((b, dy) => b.op('Neg', [dy]));
