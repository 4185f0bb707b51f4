import { z } from 'zod';
import { type Json } from '../readJson.js';
import { diagnosticsSchema } from '../diagnostics/measured.js';

/** The JSON files that evaluation and export leave in a run folder's `results/`; the report reads them. */

const count = z.int().min(0);
const share = z.number().min(0).max(1);

/** Accuracies are shares in [0, 1]. */
const accuracySchema = z.object({ top1: share, top5: share });

export const widthAccuracySchema = z.object({
  label: z.string(),
  width: z.number().gt(0).max(1),
  trained: accuracySchema,
  /** The same evaluation of the randomly initialised encoder, its BN statistics calibrated; absent when not asked for. */
  random: accuracySchema.exactOptional(),
});

/** What every evaluation of a run records. */
const evaluation = {
  source: z.string(),
  testSource: z.string(),
  /** There where the test images are those that the run holds out of training (`data.validation`). */
  heldOut: z.literal(true).exactOptional(),
  trainImages: count,
  testImages: count,
  checkpoint: z.string(),
  seconds: z.number(),
  widths: z.array(widthAccuracySchema),
};

/** `results/knn.json` */
const knnSchema = z.object({
  kind: z.literal('knn'),
  k: count,
  temperature: z.number(),
  ...evaluation,
});

/** How a linear probe is trained (docs/method.md, evaluation). */
export const probeProtocols = ['features', 'ridge', 'shared', 'augmented'] as const;

const trainedProbeSchema = z.object({
  kind: z.literal('probe'),
  protocol: z.enum(probeProtocols).exclude(['ridge']),
  epochs: count,
  learningRate: z.number(),
  batchSize: count,
  ...evaluation,
});

const ridgeProbeSchema = z.object({
  kind: z.literal('probe'),
  protocol: z.literal('ridge'),
  /** The regularisation that was chosen for the trained encoder, in the order of the widths. */
  lambdas: z.array(z.number()),
  ...evaluation,
});

/** `results/probe.json`; of the protocols other than `features` `results/probe-<protocol>.json`. */
const probeSchema = z.discriminatedUnion('protocol', [trainedProbeSchema, ridgeProbeSchema]);

/** `results/finetune-<percent>.json`, percent being that of `labels`. `trainImages` are those with labels. */
const finetuneSchema = z.object({
  kind: z.literal('finetune'),
  /** Share of the training images whose labels were used. */
  labels: share,
  epochs: count,
  encoderRate: z.number(),
  classifierRate: z.number(),
  batchSize: count,
  seed: count,
  ...evaluation,
});

/** A model that was exported. */
const exportedModelSchema = z.object({
  label: z.string(),
  width: z.number().gt(0).max(1),
  /** Side of the images that it takes in pixels; null: data.imageSize of the run. */
  size: count.nullable(),
  /** Whether it has the output `embedding`. */
  head: z.boolean(),
  /** Protocol of the linear probe whose scores it has as `logits`; null: none. */
  classifier: z.enum(probeProtocols).nullable(),
  /** Path relative to the run folder. */
  file: z.string(),
  /** The checkpoint it is of, relative to the run folder. */
  checkpoint: z.string(),
  bytes: count,
  parameters: count,
  /** Multiply-adds of one image. */
  multiplyAdds: z.number().min(0),
  /** Median milliseconds of one image, batch 1, in onnxruntime-node. */
  latency: z.number(),
  /** What the latency was measured on; null: not known. */
  provider: z.string().nullable(),
  threads: count.nullable(),
  /** Largest |exported - training side| over the largest |training side| of an output; null: not verified. */
  maxRelativeError: z.number().nullable(),
});

/** Records before version 2 had the models of one export, all of the same kind, and what they share beside the list. */
function upgradeExport(json: unknown): unknown {
  if (typeof json !== 'object' || json === null || 'version' in json) return json;
  const { kind, models, checkpoint, provider = null, threads = null } = json as Record<string, unknown>;
  if (!Array.isArray(models)) return { ...json, version: 2 };
  const shared = { size: null, head: false, classifier: null, checkpoint, provider, threads };
  const upgraded = models.map((model: unknown) =>
    typeof model === 'object' && model !== null ? { ...shared, ...model } : model,
  );
  return { kind, version: 2, models: upgraded };
}

/** `results/export.json`: the models that were exported of a run, one of each name. */
export const exportSchema = z.preprocess(
  upgradeExport,
  z.object({ kind: z.literal('export'), version: z.literal(2), models: z.array(exportedModelSchema) }),
);

/** `results/diagnostics.json` */
const diagnosisSchema = z.object({
  kind: z.literal('diagnostics'),
  source: z.string(),
  checkpoint: z.string(),
  /** Steps that training had done. */
  step: count,
  /** Steps that were measured, and images of each. */
  batches: count,
  batchImages: count,
  seconds: z.number(),
  /** Averaged over the steps. */
  diagnostics: diagnosticsSchema,
});

/** What the files of a run folder's `results/` hold, by `kind`. */
export const resultSchemas = {
  knn: knnSchema,
  probe: probeSchema,
  finetune: finetuneSchema,
  export: exportSchema,
  diagnostics: diagnosisSchema,
} as const;

/**
 * Shares of the test images, in [0, 1], whose class is the first one or among the first five.
 * @interface
 */
export type Accuracy = Json<typeof accuracySchema>;
/**
 * What an evaluation finds of one width.
 * @interface
 */
export type WidthAccuracy = Json<typeof widthAccuracySchema>;
export type ProbeProtocol = (typeof probeProtocols)[number];
/**
 * `results/knn.json`
 * @interface
 */
export type KnnResult = Json<typeof knnSchema>;
/**
 * A linear probe that is trained by gradient descent.
 * @interface
 */
export type TrainedProbeResult = Json<typeof trainedProbeSchema>;
/**
 * A linear probe in closed form.
 * @interface
 */
export type RidgeProbeResult = Json<typeof ridgeProbeSchema>;
/** `results/probe.json`; of the protocols other than `features` `results/probe-<protocol>.json`. */
export type ProbeResult = TrainedProbeResult | RidgeProbeResult;
/**
 * `results/finetune-<percent>.json`, percent being that of `labels`. `trainImages` are those with labels.
 * @interface
 */
export type FinetuneResult = Json<typeof finetuneSchema>;
/**
 * What `results/export.json` tells of one model.
 * @interface
 */
export type ExportedModelRecord = Json<typeof exportedModelSchema>;
/**
 * `results/export.json`
 * @interface
 */
export type ExportResult = Json<typeof exportSchema>;
/**
 * `results/diagnostics.json`
 * @interface
 */
export type DiagnosticsResult = Json<typeof diagnosisSchema>;
/** What the files of a run folder's `results/` hold, told by `kind`. */
export type Result = KnnResult | ProbeResult | FinetuneResult | ExportResult | DiagnosticsResult;
