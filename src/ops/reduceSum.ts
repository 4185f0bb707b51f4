import { reduction, type ReduceAttributes } from './reduction.js';

declare module './operator.js' {
  interface OperatorAttributes {
    ReduceSum: ReduceAttributes;
  }
}

/** ONNX ReduceSum. */
export const ReduceSum = reduction(13, (b, dy, x) => b.op('Expand', [dy], { shape: x.dims }));
