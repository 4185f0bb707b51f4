import type { ElementType, TensorType, Value } from '../graph/graph.js';
import type { Builder } from './builder.js';
import { notDifferentiable, type NoAttributes, type StandardOperator } from './operator.js';
import { broadcast, floating, required, sameTypes } from './shapes.js';

/** An element-wise operator of one floating-point input. `derivative` gives dx from dy, x and y. */
export function unary(
  derivative: (b: Builder, dy: Value, x: Value, y: Value) => Value,
): StandardOperator<NoAttributes> {
  return {
    domain: '',
    infer: ([x]) => [floating(required(x, 'input'))],
    gradient: ({ b, inputs: [x], outputs: [y], gradients: [dy] }) => [derivative(b, dy!, x!, y!)],
  };
}

/**
 * A broadcasting element-wise operator of two inputs. `derivatives` give the gradients at the output's shape;
 * the differentiation driver sums them over broadcast axes.
 */
export function binary(
  left: (b: Builder, dy: Value, x: Value, y: Value, out: Value) => Value,
  right: (b: Builder, dy: Value, x: Value, y: Value, out: Value) => Value,
): StandardOperator<NoAttributes> {
  return {
    domain: '',
    infer: (inputs) => [broadcastType(inputs)],
    gradient: ({ b, inputs: [x, y], outputs: [out], gradients: [dy], needs }) => [
      needs[0] ? left(b, dy!, x!, y!, out!) : null,
      needs[1] ? right(b, dy!, x!, y!, out!) : null,
    ],
  };
}

/** A broadcasting comparison; the result is bool. */
export function comparison(): StandardOperator<NoAttributes> {
  return {
    domain: '',
    infer: (inputs) => [{ dtype: 'bool', shape: broadcastType(inputs).shape }],
    gradient: notDifferentiable,
  };
}

function broadcastType([x, y]: readonly (TensorType | null)[]): {
  dtype: ElementType;
  shape: TensorType['shape'];
} {
  const a = required(x, 'first input');
  const b = required(y, 'second input');
  sameTypes(a, b);
  return { dtype: a.dtype, shape: broadcast(a.shape, b.shape) };
}
