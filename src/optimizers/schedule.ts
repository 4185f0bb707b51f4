import type { Continued, ScheduleConfig } from '../config/optimization.js';
import { slimStartEpoch, type SlowStart } from '../config/techniques.js';

/** Where a step is in its run: `step` counts from 0 to `steps` - 1. */
export interface StepPosition {
  readonly step: number;
  readonly steps: number;
  readonly stepsPerEpoch: number;
}

/**
 * Learning rate of a step (docs/method.md, recipes): linear warm-up from `warmupFrom` to the peak, then the curve of
 * the schedule, which for `cosine`, `polynomial` and a cool-down would reach 0 at `steps`. The first step has
 * `warmupFrom` when there is a warm-up. From the epoch on in which the sub-networks start, the peak is the slow start's,
 * where it has one.
 *
 * Of a run that has `continued` with this schedule: what it would be had the run begun with it, after the warm-up that
 * the run began with; where that is another one than the run had when it went on, it is led there first, in a straight
 * line over the share `warmup` of the steps that were left.
 */
export function learningRate(
  schedule: ScheduleConfig,
  slowStart: SlowStart,
  position: StepPosition,
  continued?: Continued,
): number {
  if (continued === undefined || continued.step === 0) {
    return plannedRate(schedule, slowStart, position, warmupSteps(schedule, position.steps));
  }
  const { step, learningRate: from, warmupSteps: warm } = continued;
  const planned = (at: number) => plannedRate(schedule, slowStart, { ...position, step: at }, warm);
  const share = (position.step - step) / returnSteps(schedule, position.steps, continued);
  const rate = planned(position.step);
  return share < 1 && planned(step) !== from ? from + (rate - from) * share : rate;
}

/** Steps of warm-up of a run that begins with a schedule. */
export function warmupSteps({ warmup }: ScheduleConfig, steps: number): number {
  return Math.round(warmup * steps);
}

/** Steps that lead to another schedule of a run that has `continued` with it. */
export function returnSteps({ warmup }: ScheduleConfig, steps: number, { step }: Continued): number {
  return Math.round(warmup * (steps - step));
}

/** The learning rate of a schedule from the first step on, where `warm` steps of warm-up come first. */
export function plannedRate(
  schedule: ScheduleConfig,
  slowStart: SlowStart,
  { step, steps, stepsPerEpoch }: StepPosition,
  warm: number,
): number {
  const epoch = Math.floor(step / stepsPerEpoch);
  const peak = peakAt(schedule.peak, slowStart, epoch);
  const { warmupFrom } = schedule;
  if (step < warm) return warmupFrom + ((peak - warmupFrom) * step) / warm;
  // The warm-up was all.
  if (steps <= warm) return peak;
  switch (schedule.kind) {
    case 'cosine':
      return (peak * (1 + Math.cos((Math.PI * (step - warm)) / (steps - warm)))) / 2;
    case 'step':
      return peak * schedule.factor ** schedule.epochs.filter((from) => epoch >= from).length;
    case 'polynomial':
      return peak * ((steps - step) / (steps - warm)) ** schedule.power;
    case 'constant': {
      const { coolDown, coolDownCurve } = schedule;
      const left = steps - step;
      const whole = coolDown * stepsPerEpoch;
      if (left >= whole) return peak;
      return peak * (coolDownCurve === 'linear' ? left / whole : 1 - Math.sqrt(1 - left / whole));
    }
  }
}

function peakAt(peak: number, slowStart: SlowStart, epoch: number): number {
  const raised = slowStart.kind !== 'none' && slowStart.peak > 0 && epoch >= slimStartEpoch(slowStart);
  return raised ? slowStart.peak : peak;
}

/**
 * Momentum of the key encoder at a step of MoCo v3 (docs/method.md, one training step): from `start` to 1 along half
 * a cosine, which it would reach at `steps`.
 */
export function keyMomentum(start: number, { step, steps }: Pick<StepPosition, 'step' | 'steps'>): number {
  return 1 - 0.5 * (1 + Math.cos((Math.PI * step) / steps)) * (1 - start);
}
