import { unary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Log: NoAttributes;
  }
}

/** ONNX Log, natural. */
export const Log = unary((b, dy, x) => b.op('Div', [dy, x]));
