import { z } from 'zod';

const positive = z.number().positive();

const slowStartSchema = z.discriminatedUnion('kind', [
  /** All widths train from the first epoch. */
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({
    /** For some epochs only the full width trains, its loss with weight 1. */
    kind: z.literal('full-width-first'),
    epochs: z.int().positive().default(100),
    /** Peak of the learning rate from then on (the paper's MoCo v3 recipe); 0 means that schedule.peak stays. */
    peak: z.number().min(0).default(0),
  }),
]);

const shared = {
  /** a in (1 - a) * loss + a * distillation. */
  weight: z.number().min(0).max(1).default(0.5),
  /** Who teaches a sub-network: the full width, or all larger widths, averaged. */
  teachers: z.enum(['full', 'larger']).default('full'),
};

const distillationSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('none') }),
  /** Soft cross entropy on the logits before the contrastive temperature, times the student's temperature squared. */
  z.strictObject({
    kind: z.literal('kd-logits'),
    ...shared,
    teacherTemperature: positive.default(5),
    studentTemperature: positive.default(5),
  }),
  /** The same on the embeddings that the loss sees. */
  z.strictObject({
    kind: z.literal('kd-features'),
    ...shared,
    teacherTemperature: positive.default(1),
    studentTemperature: positive.default(1),
  }),
  /** Mean squared difference of the embeddings, or of the logits. */
  z.strictObject({ kind: z.literal('mse-features'), ...shared }),
  z.strictObject({ kind: z.literal('mse-logits'), ...shared }),
  /** Decoupled knowledge distillation (Zhao et al., 2022): target class and other classes apart. */
  z.strictObject({
    kind: z.literal('dkd'),
    ...shared,
    alpha: z.number().min(0).default(1),
    beta: z.number().min(0).default(0.5),
    temperature: positive.default(1),
  }),
  /** KD on logits standardised over each row, times a multiplier. */
  z.strictObject({
    kind: z.literal('atkd'),
    ...shared,
    multiplier: positive.default(2),
    temperature: positive.default(4),
  }),
]);

/** Weights of the widths' losses; w is a width, n their number (docs/method.md, loss re-weighting). */
const reweightingSchema = z.discriminatedUnion('kind', [
  /** All 1. */
  z.strictObject({ kind: z.literal('none') }),
  /** Full width 1 + sum of the other widths, the others 1. */
  z.strictObject({ kind: z.literal('sum-of-others') }),
  /** Full width 1 + the second largest width, the others 1. */
  z.strictObject({ kind: z.literal('second-largest') }),
  /** w. */
  z.strictObject({ kind: z.literal('width') }),
  /** w / sum of the widths. */
  z.strictObject({ kind: z.literal('width-share') }),
  /** n w / sum of the widths. */
  z.strictObject({ kind: z.literal('mean-one') }),
  /** 1 + sum of all smaller widths, normalised to the sum n. */
  z.strictObject({ kind: z.literal('cumulative') }),
]);

/** What makes a slimmable network train well (docs/method.md, the techniques). Each is off at `none`. */
export const techniquesSchema = z.strictObject({
  slowStart: slowStartSchema.prefault({ kind: 'none' }),
  distillation: distillationSchema.prefault({ kind: 'kd-logits' }),
  reweighting: reweightingSchema.prefault({ kind: 'sum-of-others' }),
  /** `slimmable`: the widths share the head's weights like the encoder's. `switchable`: a head for each width. */
  head: z.enum(['slimmable', 'switchable']).default('slimmable'),
  /**
   * Which weights a sub-network uses. `overlapping`: the leading channels, so that narrow ones lie inside wider ones.
   * `non-overlapping`: channels of its own, the narrowest the first ones; the widths below 1 add up to 1 at most.
   */
  weights: z.enum(['overlapping', 'non-overlapping']).default('overlapping'),
});

export type Techniques = z.infer<typeof techniquesSchema>;
export type SlowStart = Techniques['slowStart'];
export type Distillation = Techniques['distillation'];
export type DistillationOf<K extends Distillation['kind']> = Extract<Distillation, { kind: K }>;
export type Reweighting = Techniques['reweighting'];

/** The epoch from which all widths train. */
export function slimStartEpoch(slowStart: SlowStart): number {
  return slowStart.kind === 'none' ? 0 : slowStart.epochs;
}
