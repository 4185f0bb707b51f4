import type { ElementType } from '../graph/graph.js';
import { elementTypeCode } from '../onnx/model.js';
import type { StandardOperator } from './operator.js';
import { required } from './shapes.js';

export interface CastAttributes {
  readonly to: ElementType;
}

/** ONNX Cast. Differentiable between floating-point types. */
export const Cast: StandardOperator<CastAttributes> = {
  domain: '',
  infer: ([x], { to }) => [{ dtype: to, shape: required(x, 'input').shape }],
  gradient: ({ b, inputs: [x], gradients: [dy] }) => [b.op('Cast', [dy!], { to: x!.dtype })],
  emit: ({ to }) => ({ attributes: { to: elementTypeCode(to) } }),
};
