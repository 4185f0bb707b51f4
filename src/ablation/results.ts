import { z } from 'zod';
import { recordedConfigSchema } from '../config/recorded.js';
import type { Config } from '../config/schema.js';
import { widthAccuracySchema } from '../evaluation/results.js';
import { sha256Schema, type Json } from '../readJson.js';
import { tableSchema } from './variants.js';

const count = z.int().min(0);

/** Labelled images of the evaluations, beside the defaults that are the images of the run. */
const evaluationSchema = z.object({
  /** At most this many training images; 0: all. Default: as many as the run. */
  limit: count.exactOptional(),
  testSource: z.string().exactOptional(),
  /** At most this many test images; 0, the default: all. */
  testLimit: count.exactOptional(),
});

/** Means over the measurements in the later half of a run's steps; null without one. */
const gradientsSchema = z.object({
  /** Norm of the gradient in the full tensor without the narrowest width's region, over that in the region. */
  ratio: z.number().nullable(),
  /** Cosine between the gradients of the full and the narrowest width. */
  cosine: z.number().nullable(),
});

const runSchema = z.object({
  variant: z.string(),
  seed: count,
  trainingSeconds: z.number(),
  evaluationSeconds: z.number(),
  /** One a width of the base config, in its order. */
  knn: z.array(widthAccuracySchema),
  ridge: z.array(widthAccuracySchema),
  gradients: gradientsSchema,
});

const failureSchema = z.object({ variant: z.string(), seed: count, message: z.string() });

const spreadSchema = z.object({
  mean: z.number(),
  /** Standard deviation of the sample, with n - 1; null of one value. */
  std: z.number().nullable(),
});

const summarySchema = z.object({
  name: z.string(),
  /** Seeds of its finished runs. */
  seeds: z.array(count),
  /** Top-1, shares in [0, 1]. */
  widths: z.array(z.object({ label: z.string(), width: z.number(), knn: spreadSchema, ridge: spreadSchema })),
  ratio: spreadSchema.nullable(),
  cosine: spreadSchema.nullable(),
  /** Training and evaluation of one run. */
  seconds: spreadSchema,
});

/** `ablation.json` */
export const ablationSchema = z
  .object({
    kind: z.literal('ablation'),
    version: z.string(),
    /** The base config. */
    config: recordedConfigSchema,
    table: tableSchema,
    evaluation: evaluationSchema,
    /** SHA-256 of `data.labels`, hexadecimal; null without such a file. */
    labels: sha256Schema.nullable().default(null),
    /** Whether all runs that were asked for are in it. */
    complete: z.boolean(),
    /** Finished runs. */
    runs: z.array(runSchema),
    /** Runs whose training failed, which the next call tries again. */
    failures: z.array(failureSchema),
    /** Those with a finished run, in the order of the table. */
    variants: z.array(summarySchema),
  })
  .superRefine(({ config, runs }, context) => {
    for (const [i, run] of runs.entries()) {
      for (const key of ['knn', 'ridge'] as const) {
        const widths = run[key].map(({ width }) => width);
        if (widths.length === config.widths.length && widths.every((w, j) => w === config.widths[j]))
          continue;
        context.addIssue({
          code: 'custom',
          path: ['runs', i, key],
          message: `a list with the widths ${config.widths.join(', ')}`,
        });
      }
    }
  });

/**
 * What was evaluated on, and with how many images.
 * @interface
 */
export type AblationEvaluation = Json<typeof evaluationSchema>;
/**
 * Gradients in the later half of training, of the narrowest width.
 * @interface
 */
export type GradientMeans = Json<typeof gradientsSchema>;
/**
 * One run: a variant with a seed.
 * @interface
 */
export type AblationRun = Json<typeof runSchema>;
/**
 * A run that ended with an error.
 * @interface
 */
export type AblationFailure = Json<typeof failureSchema>;
/**
 * Mean and standard deviation over the seeds.
 * @interface
 */
export type Spread = Json<typeof spreadSchema>;
/**
 * The runs of a variant, over their seeds.
 * @interface
 */
export type VariantSummary = Json<typeof summarySchema>;
/**
 * `ablation.json`
 * @interface
 */
export type AblationResult = Json<typeof ablationSchema, Config>;
