import { reduction, type ReduceAttributes } from './reduction.js';

declare module './operator.js' {
  interface OperatorAttributes {
    ReduceMean: ReduceAttributes;
  }
}

/** ONNX ReduceMean. */
export const ReduceMean = reduction(18, (b, dy, x, count) =>
  b.op('Expand', [b.op('Mul', [dy, b.scalarLike(1 / count, dy)])], { shape: x.dims }),
);
