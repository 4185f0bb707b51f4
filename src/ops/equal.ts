import { comparison } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Equal, broadcasting. */
export const Equal: StandardOperator<NoAttributes> = comparison();
