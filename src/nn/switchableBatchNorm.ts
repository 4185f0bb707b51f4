import type { Value } from '../graph/graph.js';
import { widthLabel } from '../programs/manifest.js';
import type { Forward } from './forward.js';
import { slimmed, type Declarations, type Parameter, type Statistic } from './parameter.js';

/** Share of the batch's statistics in the running ones; PyTorch's `momentum`. */
export const batchNormMomentum = 0.1;
const epsilon = 1e-5;

export interface BatchNormOptions {
  readonly channels: number;
  readonly widths: readonly number[];
  /** Initial gamma; 0 for the last batch norm of a residual branch. */
  readonly gamma?: number;
}

interface OneWidth {
  readonly gamma: Parameter;
  readonly beta: Parameter;
  readonly mean: Statistic;
  readonly variance: Statistic;
}

/** One complete batch norm per width, never shared (Yu et al., Slimmable Neural Networks, ICLR 2019). */
export class SwitchableBatchNorm {
  readonly #widths = new Map<number, OneWidth>();

  constructor(
    declarations: Declarations,
    readonly name: string,
    { channels, widths, gamma = 1 }: BatchNormOptions,
  ) {
    for (const width of widths) {
      const path = `${name}.${widthLabel(width)}`;
      const shape = [slimmed(channels, width)];
      const slice = (asked: number) => (asked === width ? shape : null);
      const parameter = (role: 'gamma' | 'beta', value: number) =>
        declarations.parameter({
          name: `${path}.${role}`,
          shape,
          role,
          initializer: { kind: 'constant', value },
          slice,
        });
      const statistic = (suffix: string, initial: number) =>
        declarations.statistic({ name: `${path}.${suffix}`, shape, width, initial });
      this.#widths.set(width, {
        gamma: parameter('gamma', gamma),
        beta: parameter('beta', 0),
        mean: statistic('running_mean', 0),
        variance: statistic('running_var', 1),
      });
    }
  }

  /** `[N, C_w, H, W]` -> the same shape. */
  forward(f: Forward, x: Value): Value {
    const own = this.#widths.get(f.width);
    if (!own) throw new Error(`${this.name} has no batch norm of width ${f.width}`);
    return f.scope(this.name, () => {
      const gamma = f.parameter(own.gamma);
      const beta = f.parameter(own.beta);
      const runningMean = f.statistic(own.mean);
      const runningVariance = f.statistic(own.variance);
      if (f.mode === 'eval') {
        return f.b.op('BatchNormalization', [x, gamma, beta, runningMean, runningVariance], { epsilon });
      }
      const [y, mean, variance] = f.b.node('BatchNormTrain', [x, gamma, beta, runningMean], { epsilon });
      // The running variance is the unbiased one, as PyTorch keeps it.
      const [n, , h, w] = x.dims as [number, number, number, number];
      const count = n * h * w;
      f.batch.set(own.mean, mean!);
      f.batch.set(own.variance, f.b.op('Mul', [variance!, f.b.scalar(count / (count - 1))]));
      return y!;
    });
  }
}
