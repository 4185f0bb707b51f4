import type { NoAttributes, StandardOperator } from './operator.js';
import { broadcast, required, sameTypes } from './shapes.js';

/** ONNX Where(condition, x, y), broadcasting. */
export const Where: StandardOperator<NoAttributes> = {
  domain: '',
  infer([condition, x, y]) {
    const c = required(condition, 'condition');
    const a = required(x, 'x');
    const b = required(y, 'y');
    if (c.dtype !== 'bool') throw new Error(`the condition is ${c.dtype}, bool is accepted`);
    sameTypes(a, b);
    return [{ dtype: a.dtype, shape: broadcast(c.shape, broadcast(a.shape, b.shape)) }];
  },
  gradient({ b, inputs: [condition], gradients: [dy], needs }) {
    const zero = b.scalarLike(0, dy!);
    return [
      null,
      needs[1] ? b.op('Where', [condition!, dy!, zero]) : null,
      needs[2] ? b.op('Where', [condition!, zero, dy!]) : null,
    ];
  },
};
