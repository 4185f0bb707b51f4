import { comparison } from './elementwise.js';

declare module './operator.js' {
  interface OperatorAttributes {
    Greater: NoAttributes;
  }
}

/** ONNX Greater, broadcasting. */
export const Greater = comparison();
