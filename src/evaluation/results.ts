import type { Diagnostics } from '../training/events.js';

/** The JSON files that evaluation and export leave in a run folder's `results/`; the report reads them. */

/** Accuracies are shares in [0, 1]. */
export interface Accuracy {
  readonly top1: number;
  readonly top5: number;
}

export interface WidthAccuracy {
  readonly label: string;
  readonly width: number;
  readonly trained: Accuracy;
  /** The same evaluation of the randomly initialised encoder, its BN statistics calibrated; absent when not asked for. */
  readonly random?: Accuracy;
}

/** What every evaluation of a run records. */
interface EvaluationResult {
  readonly source: string;
  readonly testSource: string;
  readonly trainImages: number;
  readonly testImages: number;
  readonly checkpoint: string;
  readonly seconds: number;
  readonly widths: readonly WidthAccuracy[];
}

/** `results/knn.json` */
export interface KnnResult extends EvaluationResult {
  readonly kind: 'knn';
  readonly k: number;
  readonly temperature: number;
}

/** How a linear probe is trained (docs/method.md, evaluation). */
export const probeProtocols = ['features', 'ridge', 'shared', 'augmented'] as const;
export type ProbeProtocol = (typeof probeProtocols)[number];

/** `results/probe.json`; of the protocols other than `features` `results/probe-<protocol>.json`. */
export type ProbeResult = TrainedProbeResult | RidgeProbeResult;

export interface TrainedProbeResult extends EvaluationResult {
  readonly kind: 'probe';
  readonly protocol: Exclude<ProbeProtocol, 'ridge'>;
  readonly epochs: number;
  readonly learningRate: number;
  readonly batchSize: number;
}

export interface RidgeProbeResult extends EvaluationResult {
  readonly kind: 'probe';
  readonly protocol: 'ridge';
  /** The regularisation that was chosen for the trained encoder, in the order of the widths. */
  readonly lambdas: readonly number[];
}

/** `results/finetune-<percent>.json`, percent being that of `labels`. `trainImages` are those with labels. */
export interface FinetuneResult extends EvaluationResult {
  readonly kind: 'finetune';
  /** Share of the training images whose labels were used. */
  readonly labels: number;
  readonly epochs: number;
  readonly encoderRate: number;
  readonly classifierRate: number;
  readonly batchSize: number;
  readonly seed: number;
}

/** `results/export.json` */
export interface ExportResult {
  readonly kind: 'export';
  readonly checkpoint: string;
  /** What the latencies were measured on. */
  readonly provider: string;
  readonly threads: number;
  readonly models: readonly {
    readonly label: string;
    readonly width: number;
    /** Path relative to the run folder. */
    readonly file: string;
    readonly bytes: number;
    readonly parameters: number;
    /** Multiply-adds of one image. */
    readonly multiplyAdds: number;
    /** Median milliseconds of one image, batch 1, in onnxruntime-node. */
    readonly latency: number;
    /** Largest |exported - training side| over the largest |training side| of the features. */
    readonly maxRelativeError: number;
  }[];
}

/** `results/diagnostics.json` */
export interface DiagnosticsResult {
  readonly kind: 'diagnostics';
  readonly source: string;
  readonly checkpoint: string;
  /** Steps that training had done. */
  readonly step: number;
  /** Steps that were measured, and images of each. */
  readonly batches: number;
  readonly batchImages: number;
  readonly seconds: number;
  /** Averaged over the steps. */
  readonly diagnostics: Diagnostics;
}

/** What the files of a run folder's `results/` hold, told by `kind`. */
export type Result = KnnResult | ProbeResult | FinetuneResult | ExportResult | DiagnosticsResult;
