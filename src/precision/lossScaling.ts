import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/** How a graph scales what it differentiates, and its gradients back. */
export interface LossScaling {
  /** The gradient of the loss, `[]`, times the scale. */
  scaled(seed: Value): Value;
  /** A gradient, float32, over the scale; what overflowed stays not finite. */
  unscaled(gradient: Value): Value;
}

/**
 * Loss scaling (Micikevicius et al., Mixed Precision Training, 2018): gradients of float16 activations below 2^-24 would
 * be zeros. Declares the input of the scale, `[]`, with a default. A power of 2, so that scaling
 * changes no digit.
 */
export function lossScaling(b: Builder, name: string, initial: number): LossScaling {
  const fallback = { kind: 'inline', values: Float32Array.of(initial) } as const;
  const scale = b.graph.input(name, { dtype: 'float32', shape: [] }, fallback);
  const inverse = b.scope('unscale', () => b.op('Reciprocal', [scale]));
  return {
    scaled: (seed) => b.op('Mul', [seed, scale]),
    unscaled: (gradient) => b.scope('unscale', () => b.op('Mul', [gradient, inverse])),
  };
}

/** `next` where `seen` is finite, elsewhere `before`; all of one shape. */
export function whereFinite(b: Builder, seen: Value, next: Value, before: Value): Value {
  // x - x is 0, or NaN for what is not finite.
  const isFinite = b.op('Equal', [b.op('Sub', [seen, seen]), b.scalarLike(0, seen)]);
  return b.op('Where', [isFinite, next, before]);
}
