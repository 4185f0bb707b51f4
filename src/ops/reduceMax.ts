import { reduction, type ReduceAttributes } from './reduction.js';

declare module './operator.js' {
  interface OperatorAttributes {
    ReduceMax: ReduceAttributes;
  }
}

/** ONNX ReduceMax. Tied maxima share the gradient equally, as PyTorch's amax. */
export const ReduceMax = reduction(18, (b, dy, x, _count, y) => {
  const hit = b.op('Cast', [b.op('Equal', [x, y])], { to: x.dtype });
  const axes = x.dims.flatMap((_, i) => (y.dims[i] === 1 ? [i] : []));
  return b.op('Mul', [hit, b.op('Div', [dy, b.op('ReduceSum', [hit], { axes })])]);
});
