import { unary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Relu: NoAttributes;
  }
}

/** ONNX Relu. */
export const Relu = unary((b, dy, _x, y) => b.op('ReluGrad', [dy, y]));
