import type { Value } from '../graph/graph.js';
import { isFloating, type ElementType } from '../onnx/model.js';
import { Builder, type Arguments } from '../ops/builder.js';
import type { OpName } from '../ops/operator.js';

/** In which type an operator computes; operators not named take their inputs as they are. */
type Policy = { readonly [K in OpName]?: Precision };

/**
 * PyTorch's autocast for CUDA (torch/amp: operators that autocast to float16, to float32): products in float16, what
 * loses bits or range there in float32. Everything else follows its inputs: Relu, MaxPool, the sum of a residual block
 * and batch norm, whose parameters, statistics and sums stay float32.
 * NOTE: PyTorch averages a float16 map in float16; here the pooled features are float32, which costs one small cast, and
 * so are the heads on them (`encoderBuilder`).
 */
const policy: Policy = {
  Conv: 'float16',
  ConvTranspose: 'float16',
  Gemm: 'float16',
  MatMul: 'float16',
  Exp: 'float32',
  GlobalAveragePool: 'float32',
  L2Normalize: 'float32',
  Log: 'float32',
  LogSoftmax: 'float32',
  Reciprocal: 'float32',
  ReduceMean: 'float32',
  ReduceSum: 'float32',
  ReduceSumSquare: 'float32',
  SoftCrossEntropy: 'float32',
  Softmax: 'float32',
  SoftmaxCrossEntropy: 'float32',
  Sqrt: 'float32',
};

/** Operators whose inputs have one type; of float16 and float32 that is float32. */
const promoted = new Set<OpName>(['Add', 'Concat', 'Div', 'Mul', 'Sub']);

/**
 * Builds the forward pass of a network in mixed precision: casts what operators read to the type of their policy. The
 * inputs stay float32, master weights among them. Differentiation follows each cast back, so that the gradient of an
 * operator is computed in the operator's type and that of a weight comes out in float32.
 */
export class Autocast extends Builder {
  readonly #casts = new Map<Value, Value>();

  override node<K extends OpName>(
    op: K,
    inputs: readonly (Value | null)[],
    ...rest: Arguments<K>
  ): readonly Value[] {
    const to = policy[op] ?? (promoted.has(op) ? widest(inputs) : null);
    return super.node(
      op,
      to === null ? inputs : inputs.map((input) => input && this.#as(input, to)),
      ...rest,
    );
  }

  /** Each value is cast once; it has two types at most. */
  #as(value: Value, to: Precision): Value {
    if (value.dtype === to || !isFloating(value.dtype)) return value;
    let cast = this.#casts.get(value);
    if (!cast) this.#casts.set(value, (cast = super.node('Cast', [value], { to })[0]!));
    return cast;
  }
}

function widest(inputs: readonly (Value | null)[]): 'float32' | null {
  const types = new Set<ElementType | undefined>(inputs.map((input) => input?.dtype));
  return types.has('float16') && types.has('float32') ? 'float32' : null;
}

/** Of activations and products; everything else is float32. */
export type Precision = 'float32' | 'float16';

/**
 * What builds the forward pass of an encoder at a precision; heads are built in float32 at any: a batch norm in a head
 * subtracts a mean that is large beside what the images differ in, and with it most bits of a float16 product.
 */
export function encoderBuilder(b: Builder, precision: Precision): Builder {
  return precision === 'float16' ? new Autocast(b.graph) : b;
}
