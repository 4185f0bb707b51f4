import { reduction, type ReduceAttributes } from './reduction.js';

declare module './operator.js' {
  interface OperatorAttributes {
    ReduceSumSquare: ReduceAttributes;
  }
}

/** ONNX ReduceSumSquare. */
export const ReduceSumSquare = reduction(18, (b, dy, x) =>
  b.op('Mul', [b.op('Mul', [x, b.scalarLike(2, x)]), dy]),
);
