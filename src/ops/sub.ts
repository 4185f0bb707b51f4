import { binary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Sub: NoAttributes;
  }
}

/** ONNX Sub, broadcasting. */
export const Sub = binary(
  (_b, dy) => dy,
  (b, dy) => b.op('Neg', [dy]),
);
