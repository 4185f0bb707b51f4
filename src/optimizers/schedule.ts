import type { Config } from '../config/schema.js';

/**
 * Learning rate of a step: linear warm-up from `warmupFrom` to the peak, then half a cosine to 0, per step
 * (docs/method.md, recipes). `step` counts from 0 to `steps` - 1; the first step has `warmupFrom` when there is a
 * warm-up, and the rate would reach 0 at `steps`.
 */
export function learningRate(schedule: Config['schedule'], step: number, steps: number): number {
  const { peak, warmup, warmupFrom } = schedule;
  const warm = Math.round(warmup * steps);
  if (step < warm) return warmupFrom + ((peak - warmupFrom) * step) / warm;
  return (peak * (1 + Math.cos((Math.PI * (step - warm)) / (steps - warm)))) / 2;
}
