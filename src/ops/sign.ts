import { notDifferentiable, type NoAttributes, type StandardOperator } from './operator.js';
import { floating, required } from './shapes.js';

/** ONNX Sign. */
export const Sign: StandardOperator<NoAttributes> = {
  domain: '',
  infer: ([x]) => [floating(required(x, 'input'))],
  gradient: notDifferentiable,
};
