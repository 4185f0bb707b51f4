import type { Lowering, OpName, OperatorAttributes } from '../ops/operator.js';

/**
 * What one runtime runs best: rules that rewrite operators into nodes this runtime executes. A composite
 * operator without a rule takes its portable lowering, a standard one stays as it is.
 */
export interface Target {
  readonly name: string;
  /** ONNX opset of the emitted models, 17 to 21. */
  readonly opset: number;
  readonly rules: { readonly [K in OpName]?: Lowering<OperatorAttributes[K]> };
}
