import { reduction, type ReduceAttributes } from './reduction.js';
import type { StandardOperator } from './operator.js';

/** ONNX ReduceSum. */
export const ReduceSum: StandardOperator<ReduceAttributes> = reduction(13, (b, dy, x) =>
  b.op('Expand', [dy], { shape: x.dims }),
);
