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

/** `results/probe.json` */
export interface ProbeResult extends EvaluationResult {
  readonly kind: 'probe';
  readonly epochs: number;
  readonly learningRate: number;
  readonly batchSize: number;
}

/** `results/export.json` */
export interface ExportResult {
  readonly kind: 'export';
  readonly checkpoint: string;
  readonly models: readonly {
    readonly label: string;
    readonly width: number;
    /** Path relative to the run folder. */
    readonly file: string;
    readonly bytes: number;
    readonly parameters: number;
    /** Multiply-adds of one image. */
    readonly multiplyAdds: number;
    /** Median milliseconds of one image, batch 1. */
    readonly latency: number;
    /** Largest |exported - training side| over the largest |training side| of the features. */
    readonly maxRelativeError: number;
  }[];
}
