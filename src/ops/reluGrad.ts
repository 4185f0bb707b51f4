import { sameShape } from '../graph/graph.js';
import { notDifferentiable, type CompositeOperator, type NoAttributes } from './operator.js';
import { required } from './shapes.js';

/** Gradient of Relu from its output: (dY, Y) -> dY where Y > 0, else 0. */
export const ReluGrad: CompositeOperator<NoAttributes> = {
  domain: 'slimclr',
  infer([dy, y]) {
    const gradient = required(dy, 'dY');
    if (!sameShape(gradient.shape, required(y, 'Y').shape)) throw new Error('dY and Y differ in shape');
    return [gradient];
  },
  gradient: notDifferentiable,
  lower(b, [dy, y]) {
    const zero = b.scalarLike(0, y!);
    return [b.op('Where', [b.op('Greater', [y!, zero]), dy!, zero])];
  },
};
