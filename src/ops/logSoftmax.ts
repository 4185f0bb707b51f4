import type { NoAttributes, StandardOperator } from './operator.js';
import { floating, required } from './shapes.js';

/** ONNX LogSoftmax over the last axis: dx = dy - softmax(x) sum(dy). */
export const LogSoftmax: StandardOperator<NoAttributes> = {
  domain: '',
  infer: ([x]) => [floating(required(x, 'input'))],
  gradient({ b, outputs: [y], gradients: [dy] }) {
    const total = b.op('ReduceSum', [dy!], { axes: [-1] });
    return [b.op('Sub', [dy!, b.op('Mul', [b.op('Exp', [y!]), total])])];
  },
  emit: () => ({ attributes: { axis: -1 } }),
};
