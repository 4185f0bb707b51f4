import { binary } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Add: NoAttributes;
  }
}

/** ONNX Add, broadcasting. */
export const Add = binary(
  (_b, dy) => dy,
  (_b, dy) => dy,
);
