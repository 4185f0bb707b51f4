import type { ReplicaGroup } from '../../runtime/replicaGroup.js';
import type { TrainingState } from '../state.js';

/**
 * Puts the keys `[N, D]` of a step's micro-batches, those of this replica, into the queue of the state: a ring whose
 * oldest entries each step replaces (docs/method.md, step 6). `state.step` is the step's. `shares`: whether the replicas
 * have one queue, of which each writes its part.
 */
export async function replaceOldest(
  { engine, queue, step }: Pick<TrainingState, 'engine' | 'queue' | 'step'>,
  own: readonly Float32Array[],
  group: ReplicaGroup,
  shares: boolean,
): Promise<void> {
  const keys = shares || group.size === 1 ? own : (await group.gather(own)).flat();
  const { memory, offset, shape } = queue!.place('queue');
  const [entries, dimension] = shape as [number, number];
  const part = keys.reduce((sum, { length }) => sum + length, 0);
  const perStep = shares ? part * group.size : part;
  const oldest = (step * perStep) % (entries * dimension);
  let at = offset + oldest + (shares ? part * group.rank : 0);
  for (const values of keys) {
    await engine.write(memory, values, at);
    at += values.length;
  }
}
