import type { Attributes, Node, TensorType, Value } from '../../graph/graph.js';
import type { Builder } from '../../ops/builder.js';
import { required, sameTypes } from '../../ops/shapes.js';

/** Types of the outputs of a node, or a plain Error that says what does not fit. */
type Infer = (inputs: readonly (TensorType | null)[]) => readonly TensorType[];

interface TrainingOperator {
  readonly infer: Infer;
  /**
   * An output that nobody reads: `absent`, its name is empty and it is not computed; `named`, also behind the last one
   * that is read, where ONNX Runtime wants all of them. Default: as in ONNX.
   */
  readonly unread?: 'absent' | 'named';
}

/** Of the same element type and shape as one of the inputs. */
const like =
  (input: number, what: string): Infer =>
  (inputs) => [required(inputs[input], what)];

/**
 * Operators that builds of ONNX Runtime for training have beside those of ONNX, as `onnxruntime-training` 1.19.2
 * declares them: what goes in, what comes out. Float32 on the CPU.
 */
const operators = {
  /** (dY, X, W) -> dX, dW, and dB, which nothing here asks for. */
  ConvGrad: {
    infer([dy, x, w]) {
      sameTypes(required(dy, 'dY'), required(x, 'X'));
      return [x!, required(w, 'W')];
    },
    unread: 'absent',
  },
  /** (X, scale, bias, running mean, running variance) -> Y, both running statistics moved, mean, 1 / sqrt(variance + epsilon). */
  BatchNormInternal: {
    infer([x, scale]) {
      const vector = required(scale, 'scale');
      return [required(x, 'X'), vector, vector, vector, vector];
    },
    unread: 'named',
  },
  /** (dY, X, scale, mean, 1 / sqrt(variance + epsilon)) -> dX, dscale, dbias. */
  BatchNormalizationGrad: {
    infer([, x, scale]) {
      const vector = required(scale, 'scale');
      return [required(x, 'X'), vector, vector];
    },
    unread: 'named',
  },
  /** (dY, X or Y) -> dX. */
  ReluGrad: { infer: like(0, 'dY') },
  /** (logits `[N, C]`, labels `[N]`) -> losses `[N]`, log probabilities `[N, C]`, without a reduction. */
  SoftmaxCrossEntropyLossInternal: {
    infer([logits]) {
      const z = required(logits, 'logits');
      return [{ dtype: z.dtype, shape: [z.shape[0]!] }, z];
    },
  },
  /** (dloss `[]`, log probabilities `[N, C]`, labels `[N]`) -> dlogits `[N, C]`, of ONNX's SoftmaxCrossEntropyLoss. */
  SoftmaxCrossEntropyLossGrad: { infer: like(1, 'log probabilities') },
} as const satisfies Readonly<Record<string, TrainingOperator>>;

/** Their domain. */
const domain = 'com.microsoft';

/** How the outputs of a node that nobody reads are written; undefined: as in ONNX. */
export function unreadOutputs({ op, domain: own }: Pick<Node, 'domain' | 'op'>): TrainingOperator['unread'] {
  if (own !== domain || !(op in operators)) return undefined;
  return (operators[op as keyof typeof operators] as TrainingOperator).unread;
}

/** Adds a node of an operator that only builds for training have; returns its outputs. */
export function training(
  b: Builder,
  op: keyof typeof operators,
  inputs: readonly Value[],
  attributes: Attributes = {},
): readonly Value[] {
  const { infer }: TrainingOperator = operators[op];
  const types = infer(inputs.map(({ type }) => type));
  return b.graph.add(op, domain, inputs, types, attributes).outputs;
}
