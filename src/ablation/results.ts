import type { Config } from '../config/schema.js';
import type { WidthAccuracy } from '../evaluation/results.js';
import type { AblationTable } from './variants.js';

/** Labelled images of the evaluations, beside the defaults that are the images of the run. */
export interface AblationEvaluation {
  /** At most this many training images; 0: all. Default: as many as the run. */
  readonly limit?: number;
  readonly testSource?: string;
  /** At most this many test images; 0, the default: all. */
  readonly testLimit?: number;
}

/** `ablation.json` */
export interface AblationResult {
  readonly kind: 'ablation';
  readonly version: string;
  /** The base config. */
  readonly config: Config;
  readonly table: AblationTable;
  readonly evaluation: AblationEvaluation;
  /** Whether all runs that were asked for are in it. */
  readonly complete: boolean;
  /** Finished runs. */
  readonly runs: readonly AblationRun[];
  /** Runs whose training failed, which the next call tries again. */
  readonly failures: readonly AblationFailure[];
  /** Those with a finished run, in the order of the table. */
  readonly variants: readonly VariantSummary[];
}

export interface AblationFailure {
  readonly variant: string;
  readonly seed: number;
  readonly message: string;
}

export interface AblationRun {
  readonly variant: string;
  readonly seed: number;
  readonly trainingSeconds: number;
  readonly evaluationSeconds: number;
  readonly knn: readonly WidthAccuracy[];
  readonly ridge: readonly WidthAccuracy[];
  readonly gradients: GradientMeans;
}

/** Means over the measurements in the later half of a run's steps; null without one. */
export interface GradientMeans {
  /** Norm of the gradient in the full tensor without the narrowest width's region, over that in the region. */
  readonly ratio: number | null;
  /** Cosine between the gradients of the full and the narrowest width. */
  readonly cosine: number | null;
}

export interface Spread {
  readonly mean: number;
  /** Standard deviation of the sample, with n - 1; null of one value. */
  readonly std: number | null;
}

export interface VariantSummary {
  readonly name: string;
  /** Seeds of its finished runs. */
  readonly seeds: readonly number[];
  /** Top-1, shares in [0, 1]. */
  readonly widths: readonly {
    readonly label: string;
    readonly width: number;
    readonly knn: Spread;
    readonly ridge: Spread;
  }[];
  readonly ratio: Spread | null;
  readonly cosine: Spread | null;
  /** Training and evaluation of one run. */
  readonly seconds: Spread;
}
