import { sameShape, type Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';
import type { Parameter, Statistic } from './parameter.js';

/** `train`: batch norm uses the batch's statistics. `eval`: the running ones. */
export type Mode = 'train' | 'eval';

/** `[C]` over one batch, of which `factor` times is kept: 1 for a mean, what makes a variance unbiased. */
export interface BatchStatistic {
  readonly value: Value;
  readonly factor: number;
}

/**
 * One pass of one sub-network through one graph: which width, which mode, and what the pass has read so far.
 * Layers hold no state of a pass, so the same layers build any number of graphs.
 */
export class Forward {
  /** The block of each parameter that this width reads, in order of first use. */
  readonly parameters: Map<Parameter, Value>;
  /** Running statistics read in eval mode, or about to be replaced in train mode. */
  readonly running: Map<Statistic, Value>;
  /** In train mode the batch's own statistics. */
  readonly batch: Map<Statistic, BatchStatistic>;

  /** `prefix` is put before every name: the key encoder's is `key.`. */
  constructor(
    readonly b: Builder,
    readonly width: number,
    readonly mode: Mode,
    private readonly prefix = '',
    before?: Forward,
  ) {
    this.parameters = before?.parameters ?? new Map<Parameter, Value>();
    this.running = before?.running ?? new Map<Statistic, Value>();
    this.batch = before?.batch ?? new Map<Statistic, BatchStatistic>();
  }

  /** The same pass from where another builder takes it on, e.g. one that computes in another precision. */
  by(b: Builder): Forward {
    return new Forward(b, this.width, this.mode, this.prefix, this);
  }

  /** The block of a parameter that this width uses, cut from a full-width input. */
  parameter(parameter: Parameter): Value {
    const known = this.parameters.get(parameter);
    if (known) return known;
    const block = parameter.slice(this.width);
    if (!block) throw new Error(`width ${this.width} does not use ${parameter.name}`);
    const { graph } = this.b;
    const full = graph.input(
      this.prefix + parameter.name,
      { dtype: 'float32', shape: parameter.shape },
      { kind: 'weights', tensor: parameter.name },
    );
    const { start, shape } = block;
    const axes = shape.flatMap((size, axis) => (size === parameter.shape[axis] ? [] : [axis]));
    const value = sameShape(shape, parameter.shape)
      ? full
      : this.b.op('Slice', [full], {
          starts: axes.map((axis) => start[axis]!),
          ends: axes.map((axis) => start[axis]! + shape[axis]!),
          axes,
        });
    this.parameters.set(parameter, value);
    return value;
  }

  /** A running statistic, as it was before this pass. */
  statistic(statistic: Statistic): Value {
    let value = this.running.get(statistic);
    if (!value) {
      const name = this.prefix + statistic.name;
      value = this.b.graph.input(
        name,
        { dtype: 'float32', shape: statistic.shape },
        { kind: 'weights', tensor: name },
      );
      this.running.set(statistic, value);
    }
    return value;
  }

  scope<T>(name: string, body: () => T): T {
    return this.b.scope(name, body);
  }
}
