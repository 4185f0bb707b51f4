import { comparison } from './elementwise.js';
import type { NoAttributes, StandardOperator } from './operator.js';

/** ONNX Greater, broadcasting. */
export const Greater: StandardOperator<NoAttributes> = comparison();
