import { comparison } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Equal: NoAttributes;
  }
}

/** ONNX Equal, broadcasting. */
export const Equal = comparison();
