import { sameShape } from '../graph/graph.js';
import { notDifferentiable, type CompositeOperator, type NoAttributes } from './operator.js';
import { required, sameTypes } from './shapes.js';

/** Gradient of Relu from its output: (dY, Y) -> dY where Y > 0, else 0. */
export const ReluGrad: CompositeOperator<NoAttributes> = {
  domain: 'slimclr',
  infer([dy, y]) {
    const gradient = required(dy, 'dY');
    const output = required(y, 'Y');
    sameTypes(gradient, output);
    if (!sameShape(gradient.shape, output.shape)) throw new Error('dY and Y differ in shape');
    return [gradient];
  },
  gradient: notDifferentiable,
  lower(b, [dy, y]) {
    const zero = b.scalarLike(0, y!);
    return [b.op('Where', [b.op('Greater', [y!, zero]), dy!, zero])];
  },
};
