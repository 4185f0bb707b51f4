import { binary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Sub, broadcasting. */
export const Sub: StandardOperator<NoAttributes> = binary(
  (_b, dy) => dy,
  (b, dy) => b.op('Neg', [dy]),
);
