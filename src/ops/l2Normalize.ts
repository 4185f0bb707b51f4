import { type CompositeOperator, type NoAttributes } from './operator.js';
import { floating, rank, required } from './shapes.js';

/** Norms below this are raised to it (PyTorch's `normalize`), so a zero row stays zero. */
const smallest = 1e-12;

/**
 * Rows of `[N, D]` divided by their L2 norm. Outputs Y and the norms `[N, 1]`.
 * dX = (dY - Y sum(dY Y)) / norm.
 */
export const L2Normalize: CompositeOperator<NoAttributes> = {
  domain: 'slimclr',
  infer([input]) {
    const x = rank(floating(required(input, 'X')), 2, 'X');
    return [x, { dtype: x.dtype, shape: [x.shape[0]!, 1] }];
  },
  gradient({ b, outputs: [y, norm], gradients: [dy, dNorm] }) {
    if (dNorm) throw new Error('L2Normalize: the norms are not a differentiable output');
    const along = b.op('ReduceSum', [b.op('Mul', [dy!, y!])], { axes: [1] });
    return [b.op('Div', [b.op('Sub', [dy!, b.op('Mul', [y!, along])]), norm!])];
  },
  lower(b, [x]) {
    const squares = b.op('ReduceSumSquare', [x!], { axes: [1] });
    const norm = b.op('Clip', [b.op('Sqrt', [squares])], { min: smallest });
    return [b.op('Div', [x!, norm]), norm];
  },
};
