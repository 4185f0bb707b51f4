import { Value } from '../../graph/graph.js';
import type { BatchNormalizationAttributes } from '../../ops/batchNormalization.js';
import { BatchNormTrainGrad } from '../../ops/batchNormTrainGrad.js';
import type { Builder } from '../../ops/builder.js';
import type { Lowering } from '../../ops/operator.js';
import { training } from './operators.js';

/**
 * What is fed as running mean and variance. The kernels write the moved ones over it, whoever else reads the constant:
 * so it has a value that no other constant has. With a momentum of 0 it does not count.
 */
const scratch = 2 ** -100;

/** What the gradient of a batch norm needs of its forward pass. */
interface NormRecord {
  /** The input, less the shift. */
  readonly x: Value;
  /** Mean of that. */
  readonly mean: Value;
  /** 1 / sqrt(variance + epsilon) */
  readonly invStd: Value;
}

/** The batch norms of one graph, and their gradients. */
export class BatchNorms {
  /** By the mean that stands for the composite operator's. */
  readonly #records = new Map<Value, NormRecord>();
  readonly #variances = new DeferredVariances();

  /**
   * `centred`: whether the kernel subtracts the mean before it multiplies, as cuDNN does. The CPU's computes
   * `x s + (bias - mean s)`, which cancels where |mean| >> std: there the shift, a value near the mean, goes first.
   */
  constructor(private readonly centred: boolean) {}

  /**
   * BatchNormTrain by BatchNormInternal. Of its running statistics nothing is used: the variance is the biased one on the
   * CPU and the unbiased one on CUDA. The biased one follows from 1 / sqrt(variance + epsilon), which both save alike.
   */
  readonly train: Lowering<BatchNormalizationAttributes> = (b, inputs, { epsilon }) => {
    const [input, gamma, beta, shift] = inputs as [Value, Value, Value, Value | undefined];
    const channels = gamma.dims[0]!;
    const offset = this.centred ? undefined : shift;
    const x = offset ? b.op('Sub', [input, b.reshape(offset, [1, channels, 1, 1])]) : input;
    const running = b.graph.constant(new Float32Array(channels).fill(scratch), gamma.dims, gamma.dtype);
    const attributes = { epsilon: { float: epsilon }, momentum: { float: 0 }, training_mode: 1 };
    const outputs = training(b, 'BatchNormInternal', [x, gamma, beta, running, running], attributes);
    const [y, , , mean, invStd] = outputs as [Value, Value, Value, Value, Value];
    const whole = offset ? b.op('Add', [mean, offset]) : mean;
    this.#records.set(whole, { x, mean, invStd });
    return [y, whole, this.#variances.of(invStd, epsilon)];
  };

  /** BatchNormTrainGrad of a BatchNormTrain of this graph. */
  readonly grad: Lowering<BatchNormalizationAttributes> = (b, inputs, attributes, types) => {
    const [dy, , gamma, whole] = inputs as [Value, Value, Value, Value];
    const record = this.#records.get(whole);
    if (!record) return BatchNormTrainGrad.lower(b, inputs, attributes, types);
    const { x, mean, invStd } = record;
    return training(b, 'BatchNormalizationGrad', [dy, x, gamma, mean, invStd], {
      epsilon: { float: attributes.epsilon },
    });
  };

  /** The value that is meant by one that stands for another. */
  read(b: Builder, value: Value): Value {
    return this.#variances.read(b, value);
  }
}

/**
 * Variances, computed where the first of them is read and all at once: of the fifty batch norms of a graph they would be
 * two hundred nodes on short vectors, when nothing but the running statistics reads them.
 */
class DeferredVariances {
  /** What stands for a variance until it is read, and what it is computed from. */
  readonly #waiting = new Map<Value, { readonly invStd: Value; readonly epsilon: number }>();
  readonly #known = new Map<Value, Value>();

  /** A value that stands for the variance. */
  of(invStd: Value, epsilon: number): Value {
    const value = new Value(`variance of ${invStd.name}`, invStd.type, null);
    this.#waiting.set(value, { invStd, epsilon });
    return value;
  }

  /** The value of the graph: of one that stands for a variance the variance, any other itself. */
  read(b: Builder, value: Value): Value {
    if (this.#waiting.has(value)) this.#compute(b, this.#waiting.get(value)!.epsilon);
    return this.#known.get(value) ?? value;
  }

  #compute(b: Builder, epsilon: number): void {
    const together = [...this.#waiting].filter(([, waiting]) => waiting.epsilon === epsilon);
    const sizes = together.map(([, { invStd }]) => invStd.dims[0]!);
    const invStds = together.map(([, { invStd }]) => invStd);
    const single = together.length === 1;
    const invStd = single ? invStds[0]! : b.op('Concat', invStds, { axis: 0 });
    const sum = b.op('Reciprocal', [b.op('Mul', [invStd, invStd])]);
    // Of a constant channel rounding may leave less than nothing.
    const variance = b.op('Relu', [b.op('Sub', [sum, b.scalarLike(epsilon, sum)])]);
    const parts = single ? [variance] : b.node('Split', [variance], { axis: 0, sizes });
    for (const [i, [value]] of together.entries()) {
      this.#waiting.delete(value);
      this.#known.set(value, parts[i]!);
    }
  }
}
