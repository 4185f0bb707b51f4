import type { NoAttributes, StandardOperator } from './operator.js';
import { floating, required } from './shapes.js';

/** ONNX Softmax over the last axis: dx = y (dy - sum(dy y)). */
export const Softmax: StandardOperator<NoAttributes> = {
  domain: '',
  infer: ([x]) => [floating(required(x, 'input'))],
  gradient({ b, outputs: [y], gradients: [dy] }) {
    const inner = b.op('ReduceSum', [b.op('Mul', [dy!, y!])], { axes: [-1] });
    return [b.op('Mul', [y!, b.op('Sub', [dy!, inner])])];
  },
  emit: () => ({ attributes: { axis: -1 } }),
};
