import { UsageError } from '../errors.js';
import type { Value } from '../graph/graph.js';
import { leading } from '../graph/region.js';
import { widthLabel } from './widthLabel.js';
import type { Forward } from './forward.js';
import type { Declarations, Parameter, Statistic } from './parameter.js';
import { slimmed } from './slicing.js';

/** Share of the batch's statistics in the running ones; PyTorch's `momentum`. */
export const batchNormMomentum = 0.1;
const epsilon = 1e-5;

export interface BatchNormOptions {
  readonly channels: number;
  readonly widths: readonly number[];
  /** Initial gamma; 0 for the last batch norm of a residual branch. */
  readonly gamma?: number;
  /** False: gamma stays 1 and beta 0, neither is a parameter. */
  readonly affine?: boolean;
  /** False for the outputs of a last layer, which all widths have in full. */
  readonly slim?: boolean;
}

interface OneWidth {
  /** Null without affine transform. */
  readonly affine: { readonly gamma: Parameter; readonly beta: Parameter } | null;
  readonly mean: Statistic;
  readonly variance: Statistic;
}

/** One complete batch norm per width, never shared (Yu et al., Slimmable Neural Networks, ICLR 2019). */
export class SwitchableBatchNorm {
  readonly #widths = new Map<number, OneWidth>();

  constructor(
    declarations: Declarations,
    readonly name: string,
    { channels, widths, gamma = 1, affine = true, slim = true }: BatchNormOptions,
  ) {
    for (const width of widths) {
      const path = `${name}.${widthLabel(width)}`;
      const shape = [slim ? slimmed(channels, width) : channels];
      const slice = (asked: number) => (asked === width ? leading(shape) : null);
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
        affine: affine ? { gamma: parameter('gamma', gamma), beta: parameter('beta', 0) } : null,
        mean: statistic('running_mean', 0),
        variance: statistic('running_var', 1),
      });
    }
  }

  /** `[N, C_w, H, W]` or `[N, C_w]` -> the same shape. */
  forward(f: Forward, x: Value): Value {
    if (x.shape.length === 2 && f.mode === 'train') {
      const [n, c] = x.dims as [number, number];
      return f.b.reshape(this.forward(f, f.b.reshape(x, [n, c, 1, 1])), [n, c]);
    }
    const own = this.#widths.get(f.width);
    if (!own) throw new Error(`${this.name} has no batch norm of width ${f.width}`);
    return f.scope(this.name, () => {
      const channels = x.shape[1] as number;
      const constant = (value: number) =>
        f.b.graph.constant(new Float32Array(channels).fill(value), [channels], 'float32');
      const gamma = own.affine ? f.parameter(own.affine.gamma) : constant(1);
      const beta = own.affine ? f.parameter(own.affine.beta) : constant(0);
      const runningMean = f.statistic(own.mean);
      const runningVariance = f.statistic(own.variance);
      if (f.mode === 'eval') {
        return f.b.op('BatchNormalization', [x, gamma, beta, runningMean, runningVariance], { epsilon });
      }
      const [n, , h, w] = x.dims as [number, number, number, number];
      const count = n * h * w;
      if (count < 2) {
        throw new UsageError(
          `batch norm over one value per channel in ${this.name} (batch ${n}, map ${h}x${w}); ` +
            'accepted: at least 2, by a larger batch or larger images',
        );
      }
      const [y, mean, variance] = f.b.node('BatchNormTrain', [x, gamma, beta, runningMean], { epsilon });
      // The running variance is the unbiased one, as PyTorch keeps it.
      f.batch.set(own.mean, { value: mean!, factor: 1 });
      f.batch.set(own.variance, { value: variance!, factor: count / (count - 1) });
      return y!;
    });
  }
}
