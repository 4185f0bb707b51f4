import type { Value } from '../../src/graph/graph.js';
import { elementCount } from '../../src/onnx/model.js';
import type { Builder } from '../../src/ops/builder.js';
import { Random } from '../../src/random.js';
import type { Operand } from './evaluate.js';
import { normal } from './samples.js';

/** A float64 tensor. */
export function float64(shape: readonly number[], values: readonly number[]): Operand {
  return { dtype: 'float64', shape, values };
}

/** A float64 tensor of standard normal elements. */
export function normalFloat64(shape: readonly number[], ...name: readonly number[]): Operand {
  return float64(shape, normal(new Random(...name), elementCount(shape)));
}

/** A float64 tensor as a constant of the graph: no gradient is asked for. */
export function constantOf(b: Builder, { shape, values }: Operand): Value {
  return b.graph.constant(Float64Array.from(values), shape, 'float64');
}
