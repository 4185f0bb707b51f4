import type { Config } from '../config/schema.js';
import type { Accuracy } from '../evaluation/results.js';

/** Losses of one width at one step, unweighted. */
export interface WidthLoss {
  readonly loss: number;
  /**
   * What it is made of, by the name of the graph's output: `info_nce`, `nt_xent`, `cross_entropy` or `seed`, and
   * `distillation` where the width is distilled.
   */
  readonly terms: Readonly<Record<string, number>>;
  /**
   * The part of a soft `distillation` (`kd-logits`, `kd-features`) that is the teachers' own entropy, times the student's
   * temperature squared: less it, the term is the divergence from the teachers. Absent for the other kinds.
   */
  readonly teacherEntropy?: number;
}

/** Gradients and features at one step (docs/method.md, diagnostics); keyed by width label. */
export interface Diagnostics {
  /**
   * For each width: mean over the weight tensors of the L2 norm of the total gradient in the region that the width
   * uses (theta_w), and in the rest of the full tensor (theta_1.0 without theta_w; null for the full width); `ratio`
   * is rest / region.
   */
  readonly gradientNorms: Readonly<
    Record<string, { readonly region: number; readonly rest: number | null; readonly ratio: number | null }>
  >;
  /**
   * For each pair of widths, wide one first: cosine between the gradients of their (weighted) losses on the weights
   * both use, over all of these together and by parameter.
   */
  readonly cosines: readonly {
    readonly wide: string;
    readonly narrow: string;
    readonly cosine: number;
    readonly layers: Readonly<Record<string, number>>;
  }[];
  /** By weight tensor: norm of the total gradient in the region of each width. */
  readonly layerNorms: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /**
   * Embeddings of the batch: alignment of positives `mean |q - k|^2`, uniformity `log mean exp(-2 |q_i - q_j|^2)`
   * (Wang and Isola, 2020), and the standard deviation of a coordinate, averaged and times sqrt(dimension): 1 for
   * embeddings spread over the sphere, 0 when they collapsed. Absent for methods without embeddings.
   */
  readonly features?: Readonly<
    Record<string, { readonly alignment: number; readonly uniformity: number; readonly std: number }>
  >;
  /** Age of the queue's entries in steps. Absent for methods without a queue. */
  readonly queueAge?: { readonly mean: number; readonly max: number };
}

/**
 * One line of `events.jsonl` in a run folder. Epochs and steps count from 0; `step` counts over the whole
 * run; losses are keyed by width label (`w1.00`).
 */
export type TrainingEvent =
  | {
      readonly type: 'start';
      /** Of the log from here on (logFormat.ts). */
      readonly format: number;
      readonly version: string;
      readonly config: Config;
      readonly labels: readonly string[];
      readonly images: number;
      readonly stepsPerEpoch: number;
      /** Step from which a resumed run goes on; 0 for a new one. */
      readonly step: number;
    }
  | { readonly type: 'skipped'; readonly path: string; readonly reason: string }
  | {
      readonly type: 'step';
      readonly epoch: number;
      readonly step: number;
      readonly learningRate: number;
      readonly losses: Readonly<Record<string, WidthLoss>>;
      /** Wall time of this step, of it inside ONNX Runtime, of it waiting for the loader. */
      readonly seconds: number;
      readonly computeSeconds: number;
      readonly loaderSeconds: number;
    }
  /** The kNN monitor at the end of an epoch. */
  | {
      readonly type: 'knn';
      readonly epoch: number;
      readonly step: number;
      readonly accuracies: Readonly<Record<string, Accuracy>>;
      readonly seconds: number;
    }
  | {
      readonly type: 'diagnostics';
      readonly epoch: number;
      readonly step: number;
      readonly diagnostics: Diagnostics;
    }
  | { readonly type: 'checkpoint'; readonly epoch: number; readonly step: number; readonly file: string }
  /** `file` holds a `Profile` of the steps before. */
  | { readonly type: 'profile'; readonly step: number; readonly file: string }
  | {
      readonly type: 'stop';
      readonly reason: 'done' | 'interrupted' | 'diverged';
      readonly step: number;
      /** Seconds of this process, start to stop. */
      readonly seconds: number;
      readonly message?: string;
    };

/** An event as it stands in the file: with the time it was written (ISO 8601). */
export type LoggedEvent = TrainingEvent & { readonly time: string };
