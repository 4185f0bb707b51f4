import type { TensorType, Value } from '../graph/graph.js';
import type { Builder } from './builder.js';
import type { ConstantInput, Emission, StandardOperator } from './operator.js';
import { countedElements, floating, normalAxis, required } from './shapes.js';

export interface ReduceAttributes {
  /** All axes when absent or empty, as in ONNX. */
  readonly axes?: readonly number[];
  /** Default true, as in ONNX. */
  readonly keepdims?: boolean;
}

/**
 * A reduction. `axesInputSince` is the opset in which ONNX made `axes` an input. `derivative` receives dy
 * with the reduced axes kept as 1, so that it broadcasts against x, and y as it is.
 */
export function reduction(
  axesInputSince: number,
  derivative: (b: Builder, dy: Value, x: Value, count: number, y: Value) => Value,
): StandardOperator<ReduceAttributes> {
  return {
    domain: '',
    infer([input], attributes) {
      const x = floating(required(input, 'input'));
      const axes = reducedAxes(x, attributes);
      const keep = attributes.keepdims ?? true;
      const shape = x.shape.flatMap((d, i) => (axes.has(i) ? (keep ? [1] : []) : [d]));
      return [{ dtype: x.dtype, shape }];
    },
    gradient({ b, inputs: [x], outputs: [y], gradients: [dy], attributes }) {
      const axes = reducedAxes(x!.type, attributes);
      const kept = x!.dims.map((d, i) => (axes.has(i) ? 1 : d));
      const count = x!.dims.reduce((n, d, i) => (axes.has(i) ? n * d : n), 1);
      return [derivative(b, b.reshape(dy!, kept), x!, count, y!)];
    },
    flops: ([x]) => countedElements(x!.shape),
    emit({ axes, keepdims = true }, opset): Emission {
      const attributes = { keepdims: keepdims ? 1 : 0 };
      if (!axes) return { attributes };
      return opset >= axesInputSince
        ? { attributes, constants: [int64(axes)] }
        : { attributes: { ...attributes, axes } };
    },
  };
}

function reducedAxes(x: TensorType, { axes }: ReduceAttributes): Set<number> {
  const named = axes?.length ? axes : x.shape.map((_, i) => i);
  return new Set(named.map((axis) => normalAxis(axis, x.shape.length)));
}

/** A one-dimensional int64 constant, as ONNX takes axes, shapes and pads. */
export function int64(values: readonly number[]): ConstantInput {
  return { dtype: 'int64', shape: [values.length], values: BigInt64Array.from(values, BigInt) };
}
