import { reduction, type ReduceAttributes } from './reduction.js';
import type { StandardOperator } from './operator.js';

/** ONNX ReduceMax. Tied maxima share the gradient equally, as PyTorch's amax. */
export const ReduceMax: StandardOperator<ReduceAttributes> = reduction(18, (b, dy, x, _count, y) => {
  const hit = b.op('Cast', [b.op('Equal', [x, b.reshape(y, dy.dims)])], { to: x.dtype });
  const axes = dy.dims.flatMap((d, i) => (d === 1 ? [i] : []));
  return b.op('Mul', [hit, b.op('Div', [dy, b.op('ReduceSum', [hit], { axes })])]);
});
