import type { Tensor } from '../../runtime/session.js';
import type { TrainingState } from '../state.js';

/** The queue of keys in the state: a ring whose oldest entries each step replaces (docs/method.md, step 6). */
export class KeyQueue {
  constructor(private readonly state: TrainingState) {}

  /** `[K, D]` */
  get tensor(): Tensor {
    return this.state.queue!.tensor('queue');
  }

  /** Puts the keys `[N, D]` of a step's micro-batches in the place of the oldest ones; `state.step` is the step's. */
  replaceOldest(keys: readonly Tensor[]): void {
    const [entries] = this.tensor.dims as [number];
    const values = this.tensor.data as Float32Array;
    const perStep = keys.reduce((sum, { dims }) => sum + dims[0]!, 0);
    const row = (this.state.step * perStep) % entries;
    let offset = row * this.tensor.dims[1]!;
    for (const { data } of keys) {
      values.set(data as Float32Array, offset);
      offset += data.length;
    }
  }
}
