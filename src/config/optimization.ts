import { z } from 'zod';

const coefficient = z.number().min(0).lt(1);

const shared = {
  weightDecay: z.number().min(0).default(1e-4),
  /** Roles of the parameters that decay. The reference implementation decays gamma too (docs/method.md, recipes). */
  decay: z
    .array(z.enum(['weight', 'bias', 'gamma', 'beta']))
    .refine((roles) => new Set(roles).size === roles.length, 'must not name a role twice')
    .default(['weight', 'gamma']),
  /** Gradients are scaled down to this L2 norm over all parameters together; 0 means as they are. */
  clipNorm: z.number().min(0).default(0),
};

export const optimizerSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('sgd'),
    momentum: coefficient.default(0.9),
    nesterov: z.boolean().default(false),
    ...shared,
  }),
  /** Layer-wise rates (You et al., 2017): weights move by `trust |p| / |g + decay p|` times the rate, others as in SGD. */
  z.strictObject({
    kind: z.literal('lars'),
    momentum: coefficient.default(0.9),
    trust: z.number().positive().default(0.001),
    ...shared,
    decay: shared.decay.unwrap().default(['weight']),
  }),
  /** Adam with decoupled weight decay (Loshchilov and Hutter, 2019). */
  z.strictObject({
    kind: z.literal('adamw'),
    beta1: coefficient.default(0.9),
    beta2: coefficient.default(0.999),
    epsilon: z.number().positive().default(1e-8),
    ...shared,
  }),
]);

const rise = {
  /** Highest learning rate, at this config's total batch. */
  peak: z.number().positive().default(0.03),
  /** Share of all steps in linear warm-up. */
  warmup: z.number().min(0).max(1).default(0.05),
  warmupFrom: z.number().min(0).default(1e-8),
};

/** The learning rate, per step: a linear warm-up, then from `peak` along a curve. */
export const scheduleSchema = z.discriminatedUnion('kind', [
  /** Half a cosine to 0. */
  z.strictObject({ kind: z.literal('cosine'), ...rise }),
  /** Times `factor` from each of `epochs` on. */
  z.strictObject({
    kind: z.literal('step'),
    ...rise,
    epochs: z
      .array(z.int().positive())
      .refine((epochs) => epochs.every((e, i) => i === 0 || e > epochs[i - 1]!), 'must be strictly ascending')
      .default([120, 160]),
    factor: z.number().positive().max(1).default(0.1),
  }),
  /** `(1 - t) ** power`, t the share of the steps after warm-up. */
  z.strictObject({ kind: z.literal('polynomial'), ...rise, power: z.number().positive().default(1) }),
  z.strictObject({
    kind: z.literal('constant'),
    ...rise,
    /** Epochs at the end in which the rate falls to 0; a run that is resumed may get them late, at any checkpoint. */
    coolDown: z.int().min(0).default(0),
    /** The fall, t its share that is over: `1-sqrt` is `1 - sqrt(t)` (Hägele et al., 2024), `linear` is `1 - t`. */
    coolDownCurve: z.enum(['1-sqrt', 'linear']).default('1-sqrt'),
  }),
]);

/**
 * Where a run went on with another schedule, for the last time (docs/operations.md): written by the run itself when it is
 * resumed with other `epochs` or another `schedule`.
 */
export const continuedSchema = z.strictObject({
  /** The first step of the schedule that holds now; 0: the run has the one it began with. */
  step: z.int().min(0).default(0),
  /** What the learning rate of that step would have been. */
  learningRate: z.number().min(0).default(0),
  /** Steps of warm-up in the plan that the run began with. */
  warmupSteps: z.int().min(0).default(0),
});

export type OptimizerConfig = z.infer<typeof optimizerSchema>;
export type OptimizerOf<K extends OptimizerConfig['kind']> = Extract<OptimizerConfig, { kind: K }>;
export type ScheduleConfig = z.infer<typeof scheduleSchema>;
export type Continued = z.infer<typeof continuedSchema>;
