import { z } from 'zod';
import { isRecord } from '../config/layers.js';
import { recordedConfigSchema } from '../config/recorded.js';
import type { Config } from '../config/schema.js';
import { diagnosticsSchema } from '../diagnostics/measured.js';
import { lossyNumber, lossyNumbers, type Json } from '../readJson.js';

const count = z.int().min(0);
const byLabel = <T extends z.ZodType>(value: T) => z.record(z.string(), value);

/** Losses of one width at one step, unweighted. */
const widthLossSchema = z.object({
  loss: lossyNumber,
  /**
   * What it is made of, by the name of the graph's output: `info_nce`, `nt_xent`, `cross_entropy` or `seed`, and
   * `distillation` where the width is distilled.
   */
  terms: lossyNumbers,
  /**
   * The part of a soft `distillation` (`kd-logits`, `kd-features`) that is the teachers' own entropy, times the student's
   * temperature squared: less it, the term is the divergence from the teachers. Absent for the other kinds.
   */
  teacherEntropy: lossyNumber.exactOptional(),
});

/** When a line was written (ISO 8601). */
const time = z.string().refine(isTime, 'a time (ISO 8601)');

function isTime(text: string): boolean {
  return !Number.isNaN(Date.parse(text));
}

/**
 * One line of `events.jsonl` in a run folder. Epochs and steps count from 0; `step` counts over the whole
 * run; losses are keyed by width label (`w1.00`).
 */
export const eventSchema = z.discriminatedUnion('type', [
  z.object({
    time,
    type: z.literal('step'),
    epoch: count,
    step: count,
    learningRate: z.number(),
    losses: byLabel(widthLossSchema),
    /** Of float16: what the loss was multiplied by (docs/method.md, mixed precision). */
    lossScale: z.number().exactOptional(),
    /** There where a gradient or a loss overflowed: the optimiser made no step. */
    overflow: z.literal(true).exactOptional(),
    /** Wall time of this step, of it inside ONNX Runtime, of it waiting for the loader. */
    seconds: z.number(),
    computeSeconds: z.number(),
    loaderSeconds: z.number(),
    /** Bytes of memory that the process which trains holds, as the system counts them (resident). */
    memory: z.number().exactOptional(),
  }),
  z.object({
    time,
    type: z.literal('start'),
    /** Of the log from here on (logFormat.ts). */
    format: count.default(1),
    version: z.string(),
    config: recordedConfigSchema,
    labels: z.array(z.string()),
    images: count,
    stepsPerEpoch: z.int().positive(),
    /** Step from which a resumed run goes on; 0 for a new one. */
    step: count,
  }),
  z.object({ time, type: z.literal('skipped'), path: z.string(), reason: z.string() }),
  /** What a person should know of the run. */
  z.object({ time, type: z.literal('notice'), message: z.string() }),
  /** The kNN monitor at the end of an epoch. */
  z.object({
    time,
    type: z.literal('knn'),
    epoch: count,
    step: count,
    /** Shares in [0, 1]; of format 1 percent. */
    accuracies: byLabel(z.object({ top1: z.number(), top5: z.number() })),
    seconds: z.number(),
  }),
  z.object({
    time,
    type: z.literal('diagnostics'),
    epoch: count,
    step: count,
    diagnostics: diagnosticsSchema,
  }),
  /** A checkpoint of so many steps is durable; later steps may stand before it. */
  z.object({ time, type: z.literal('checkpoint'), epoch: count, step: count, file: z.string() }),
  /** `file` holds a `Profile` of the steps before. */
  z.object({ time, type: z.literal('profile'), step: count, file: z.string() }),
  z.object({
    time,
    type: z.literal('stop'),
    /** `early`: the monitor has found no improvement any more (`monitor.patience`). */
    reason: z.enum(['done', 'early', 'interrupted', 'time-limit', 'diverged']),
    step: count,
    /** Seconds of this process, start to stop. */
    seconds: z.number(),
    message: z.string().exactOptional(),
  }),
]);

/**
 * Whether a value is a step as nearly all are: an event that the schema takes without a change. The schema, which says
 * what is wrong with any other, takes ten times as long, and logs are long.
 */
export function isPlainStep(json: unknown): json is Extract<LoggedEvent, { readonly type: 'step' }> {
  if (!isRecord(json) || json['type'] !== 'step') return false;
  const { time, epoch, step, losses, lossScale = 1, overflow = true, memory = 0 } = json;
  if (typeof time !== 'string' || !isTime(time) || !isCount(epoch) || !isCount(step)) return false;
  for (const key of ['learningRate', 'seconds', 'computeSeconds', 'loaderSeconds']) {
    if (!Number.isFinite(json[key])) return false;
  }
  if (!Number.isFinite(lossScale) || !Number.isFinite(memory) || overflow !== true || !isRecord(losses))
    return false;
  for (const label in losses) {
    const width = losses[label];
    if (!isRecord(width) || !Number.isFinite(width['loss'])) return false;
    const { terms, teacherEntropy = 0 } = width;
    if (!isRecord(terms) || !Number.isFinite(teacherEntropy)) return false;
    for (const term in terms) if (!Number.isFinite(terms[term])) return false;
  }
  return true;
}

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;

/**
 * Losses of one width at one step, unweighted.
 * @interface
 */
export type WidthLoss = Json<typeof widthLossSchema>;
/**
 * An event as it stands in the file: with the time it was written.
 * @useDeclaredType
 */
export type LoggedEvent = Json<typeof eventSchema, Config>;
type Untimed<Event> = Event extends unknown ? Omit<Event, 'time'> : never;
/**
 * One line of `events.jsonl` in a run folder, told by `type`. Epochs and steps count from 0; `step` counts over the whole
 * run; losses are keyed by width label (`w1.00`).
 * @useDeclaredType
 */
export type TrainingEvent = Untimed<LoggedEvent>;
