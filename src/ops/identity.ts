import { unary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Identity: NoAttributes;
  }
}

/** ONNX Identity. */
export const Identity = unary((_b, dy) => dy);
