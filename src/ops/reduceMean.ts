import { reduction, type ReduceAttributes } from './reduction.js';
import type { StandardOperator } from './operator.js';

/** ONNX ReduceMean. */
export const ReduceMean: StandardOperator<ReduceAttributes> = reduction(18, (b, dy, x, count) =>
  b.op('Expand', [b.op('Mul', [dy, b.scalarLike(1 / count, dy)])], { shape: x.dims }),
);
