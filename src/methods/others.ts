import type { HeldTensors, StepContext } from './step.js';

/**
 * The rows `[N, dimension]` of all micro-batches but that at a position, in their order, as the input `name`; none where
 * there is no other. E.g. the features of the other micro-batches, which one of them contrasts its own with. `width`: of
 * one for which they are other rows than for the next.
 */
export async function others(
  context: StepContext,
  name: string,
  rows: readonly Float32Array[],
  position: number,
  dimension: number,
  width = '',
): Promise<HeldTensors> {
  const rest = rows.filter((_, i) => i !== position);
  if (rest.length === 0) return {};
  const count = rest.reduce((sum, { length }) => sum + length / dimension, 0);
  const tensor = context.memory(`${name}.${width}`, [count, dimension]);
  await context.write(tensor, rest);
  return { [name]: tensor };
}
