import type { Engine, Place } from '../../engines/engine.js';
import type { ReplicaGroup } from '../../distributed/replicaGroup.js';
import { elementCount } from '../../onnx/model.js';
import type { TrainingState } from '../state.js';

/**
 * Puts the keys `[N, D]` of a step's micro-batches, those of this replica, into the queue of the state: a ring whose
 * oldest entries each step replaces (docs/method.md, step 6). `state.step` is the step's. `shares`: whether the replicas
 * have one queue, of which each writes its part.
 */
export async function replaceOldest(
  { engine, queue, step }: Pick<TrainingState, 'engine' | 'queue' | 'step'>,
  own: readonly Place<'float32'>[],
  group: ReplicaGroup,
  shares: boolean,
): Promise<void> {
  const { memory, offset, shape } = queue!.place('queue');
  const [entries, dimension] = shape as [number, number];
  const keys = shares || group.size === 1 ? own : await ofAll(engine, own, group);
  const lengths = keys.map((each) => (ArrayBuffer.isView(each) ? each.length : elementCount(each.shape)));
  const part = lengths.reduce((sum, length) => sum + length, 0);
  const perStep = shares ? part * group.size : part;
  const oldest = (step * perStep) % (entries * dimension);
  let at = offset + oldest + (shares ? part * group.rank : 0);
  for (const [i, each] of keys.entries()) {
    const length = lengths[i]!;
    if (ArrayBuffer.isView(each)) await engine.write(memory, each, at);
    else await engine.copy(each, { memory, offset: at, shape: [length] });
    at += length;
  }
}

/** The keys of all replicas, by the way of the host. */
async function ofAll(
  engine: Engine,
  own: readonly Place<'float32'>[],
  group: ReplicaGroup,
): Promise<Float32Array[]> {
  const values = own.map(async ({ memory, offset, shape }) =>
    (await engine.read(memory, offset, elementCount(shape))).slice(),
  );
  return (await group.gather(await Promise.all(values))).flat();
}
