import type { ScheduleConfig } from '../config/optimization.js';
import { slimStartEpoch, type SlowStart } from '../config/techniques.js';

/** Where a step is in its run: `step` counts from 0 to `steps` - 1. */
export interface StepPosition {
  readonly step: number;
  readonly steps: number;
  readonly stepsPerEpoch: number;
}

/**
 * Learning rate of a step (docs/method.md, recipes): linear warm-up from `warmupFrom` to the peak, then the curve of
 * the schedule, which for `cosine` and `polynomial` would reach 0 at `steps`. The first step has `warmupFrom` when
 * there is a warm-up. From the epoch on in which the sub-networks start, the peak is the slow start's, where it has one.
 */
export function learningRate(
  schedule: ScheduleConfig,
  slowStart: SlowStart,
  { step, steps, stepsPerEpoch }: StepPosition,
): number {
  const epoch = Math.floor(step / stepsPerEpoch);
  const peak = peakAt(schedule.peak, slowStart, epoch);
  const { warmup, warmupFrom } = schedule;
  const warm = Math.round(warmup * steps);
  if (step < warm) return warmupFrom + ((peak - warmupFrom) * step) / warm;
  switch (schedule.kind) {
    case 'cosine':
      return (peak * (1 + Math.cos((Math.PI * (step - warm)) / (steps - warm)))) / 2;
    case 'step':
      return peak * schedule.factor ** schedule.epochs.filter((from) => epoch >= from).length;
    case 'polynomial':
      return peak * ((steps - step) / (steps - warm)) ** schedule.power;
    case 'constant':
      return peak;
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
