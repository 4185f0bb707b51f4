import { diffConfigs } from '../config/format.js';
import type { Config } from '../config/schema.js';
import { counted } from '../counted.js';
import { UsageError } from '../errors.js';
import { plannedRate, returnSteps, warmupSteps } from '../optimizers/schedule.js';
import type { CheckpointInfo } from './checkpoint.js';
import { TrainingPlan } from './plan.js';

/** Keys that a run which is resumed may have others of: from there on they say how long it trains and how fast. */
export const scheduleKeys = /^(epochs$|schedule\.|continued\.)/;

/** A config to go on with. */
export interface ContinuedConfig {
  /** With what becomes of the schedule (`continued`). */
  readonly config: Config;
  /** What the schedule does from here on, in one line; null where it is that of the checkpoint. */
  readonly notice: string | null;
}

/**
 * The config that a run goes on with from a checkpoint of `batchesPerEpoch` whole batches an epoch: with other epochs or
 * another schedule it says from which step on they hold (`learningRate`). Throws a UsageError for fewer epochs than are
 * done.
 */
export function continuedConfig(
  saved: Pick<CheckpointInfo, 'config' | 'step'>,
  given: Config,
  batchesPerEpoch: number,
): ContinuedConfig {
  const { step } = saved;
  const changes = diffConfigs(saved.config, given).filter(
    ({ path }) => scheduleKeys.test(path) && !path.startsWith('continued.'),
  );
  if (changes.length === 0) return { config: { ...given, continued: saved.config.continued }, notice: null };
  const before = new TrainingPlan(saved.config, batchesPerEpoch);
  const { learningRate } = before.step(step);
  const warm =
    saved.config.continued.step > 0
      ? saved.config.continued.warmupSteps
      : warmupSteps(saved.config.schedule, before.total);
  const config = { ...given, continued: { step, learningRate, warmupSteps: warm } };
  const after = new TrainingPlan(config, batchesPerEpoch);
  if (after.total < step) {
    const done = Number((step / before.stepsPerEpoch).toFixed(2));
    throw new UsageError(
      `epochs ${given.epochs} is fewer than the ${done} that the checkpoint has done; ` +
        `accepted: at least ${Math.ceil(step / before.stepsPerEpoch)}`,
    );
  }
  const changed = changes
    .filter(({ b }) => b !== undefined)
    .map(({ path, a, b }) =>
      a === undefined
        ? `${path} is ${JSON.stringify(b)}`
        : `${path} is ${JSON.stringify(b)}, ${JSON.stringify(a)} at the checkpoint`,
    );
  return { config, notice: `${changed.join('; ')}: ${course(config, after)}` };
}

/** What the learning rate does from the step on in which a run continues with a schedule. */
function course({ continued, epochs, method, schedule, techniques }: Config, plan: TrainingPlan): string {
  const { step, learningRate: from, warmupSteps: warm } = continued;
  const { total: steps, stepsPerEpoch } = plan;
  if (step === steps) return 'nothing is left to train';
  const planned = plannedRate(schedule, techniques.slowStart, { step, steps, stepsPerEpoch }, warm);
  const ramp = returnSteps(schedule, steps, continued);
  const falls = schedule.kind === 'cosine' || schedule.kind === 'polynomial';
  const end = falls || (schedule.kind === 'constant' && schedule.coolDown > 0) ? ' to 0' : '';
  const curve = `the ${schedule.kind} schedule of ${counted(epochs, 'epoch')}${end}`;
  const rate = (at: number) => Number(plan.step(at).learningRate.toPrecision(3));
  const way =
    planned === from
      ? `goes on from ${rate(step)} along ${curve}`
      : ramp === 0
        ? `is ${rate(step)}, after ${Number(from.toPrecision(3))}, and follows ${curve}`
        : `goes from ${rate(step)} to ${rate(step + ramp)} in ${counted(ramp, 'step')} and then follows ${curve}`;
  const keys = method.kind === 'moco-v3' ? "; the key encoder's momentum follows the same epochs" : '';
  return `from step ${step} on the learning rate ${way}${keys}`;
}
