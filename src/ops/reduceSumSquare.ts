import { reduction, type ReduceAttributes } from './reduction.js';
import type { StandardOperator } from './operator.js';

/** ONNX ReduceSumSquare. */
export const ReduceSumSquare: StandardOperator<ReduceAttributes> = reduction(18, (b, dy, x) =>
  b.op('Mul', [b.op('Mul', [x, b.scalarLike(2, x)]), dy]),
);
