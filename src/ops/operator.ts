import type { AttributeValue, TensorType, TypedArray, ElementType, Value } from '../graph/graph.js';
import type { Builder } from './builder.js';
import type { operators } from './index.js';

/** Names of the operators of the table in index.ts. */
export type OpName = keyof typeof operators;
/** Attribute types by operator name, as the operators of the table declare them. */
export type OperatorAttributes = { readonly [K in OpName]: AttributesOf<(typeof operators)[K]> };
type AttributesOf<O> =
  O extends StandardOperator<infer A> ? A : O extends CompositeOperator<infer A> ? A : never;
/** Operators without attributes. */
export type NoAttributes = Record<never, never>;

/** What a gradient rule is given. `gradients[i]` is null where no gradient reaches output i. */
export interface GradientContext<A> {
  readonly b: Builder;
  readonly inputs: readonly (Value | null)[];
  readonly outputs: readonly Value[];
  readonly gradients: readonly (Value | null)[];
  /** Which inputs need a gradient; the rule may return null for the others. */
  readonly needs: readonly boolean[];
  readonly attributes: A;
}

/** Returns the gradient of each input, null where there is none. The driver un-broadcasts and sums. */
export type GradientRule<A> = (context: GradientContext<A>) => readonly (Value | null)[];

/** The explicit statement that no gradient flows through an operator. */
export const notDifferentiable = Symbol('not differentiable');

/** A constant that ONNX takes as an input where this IR has an attribute. */
export interface ConstantInput {
  readonly dtype: ElementType;
  readonly shape: readonly number[];
  readonly values: TypedArray;
}

/** How an operator's node looks in ONNX. */
export interface Emission {
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  /** Appended to the node's inputs. */
  readonly constants?: readonly (ConstantInput | null)[];
}

/** Rewrites one composite node into standard ones; returns one value an output, null for one nobody uses. */
export type Lowering<A> = (
  b: Builder,
  inputs: readonly Value[],
  attributes: A,
  outputs: readonly TensorType[],
) => readonly (Value | null)[];

interface OperatorBase<A> {
  /** Output types; throws a plain Error that says what does not fit. */
  infer(inputs: readonly (TensorType | null)[], attributes: A): readonly TensorType[];
  readonly gradient: GradientRule<A> | typeof notDifferentiable;
  /** Floating-point operations; a multiply-add counts as two. Default: one an output element. */
  flops?(inputs: readonly (TensorType | null)[], outputs: readonly TensorType[], attributes: A): number;
}

/** An operator of ONNX (domain ''), emitted as it is. */
export interface StandardOperator<A> extends OperatorBase<A> {
  readonly domain: '';
  /**
   * Default: no attributes. `opset` decides where ONNX moved an attribute to an input; `inputs` counts those that
   * the node has already.
   */
  emit?(attributes: A, opset: number, inputs: number): Emission;
}

/** An operator that ONNX lacks, rewritten by a target's rule; `lower` is the portable one. */
export interface CompositeOperator<A> extends OperatorBase<A> {
  readonly domain: 'slimclr';
  readonly lower: Lowering<A>;
}
