import { reduction, type ReduceAttributes } from './reduction.js';

declare module './operator.js' {
  interface OperatorAttributes {
    ReduceMax: ReduceAttributes;
  }
}

/** ONNX ReduceMax. Tied maxima share the gradient equally, as PyTorch's amax. */
export const ReduceMax = reduction(18, (b, dy, x, _count, y) => {
  const hit = b.op('Cast', [b.op('Equal', [x, b.reshape(y, dy.dims)])], { to: x.dtype });
  const axes = dy.dims.flatMap((d, i) => (d === 1 ? [i] : []));
  return b.op('Mul', [hit, b.op('Div', [dy, b.op('ReduceSum', [hit], { axes })])]);
});
