import { binary } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Add, broadcasting. */
export const Add: StandardOperator<NoAttributes> = binary(
  (_b, dy) => dy,
  (_b, dy) => dy,
);
