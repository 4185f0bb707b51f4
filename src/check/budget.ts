import type { ForeignModel } from '../engines/foreignModel.js';
import type { TensorData } from '../onnx/safetensors.js';
import { checkRow, type CheckRow } from './results.js';

/** How much larger or slower than the golden model one may be by default. */
export const defaultRatios = { bytes: 1.01, latency: 1.25 } as const;

/** A model, ready to run. */
export interface Timed {
  readonly model: ForeignModel;
  readonly feeds: ReadonlyMap<string, TensorData>;
}

/** Bytes of the file and its external data. */
export function checkBytes(model: string, golden: number, now: number, ratio: number): CheckRow {
  const limit = Math.floor(golden * ratio);
  const status = now <= limit ? 'passed' : 'failed';
  return checkRow({ model, kind: 'budget', item: 'bytes', status, unit: 'bytes', golden, now, limit });
}

/**
 * Median latency of one image, or of a fixed batch, both models measured in turns in one process. One that seems a
 * little too slow is measured again, up to three times: what else the machine does only ever makes it slower.
 */
export function checkLatency(model: string, golden: Timed, now: Timed, ratio: number): CheckRow {
  let best: readonly [number, number] | undefined;
  for (let attempt = 0; attempt < 3; attempt++) {
    const medians = alternate(golden, now);
    if (!best || medians[1] / medians[0] < best[1] / best[0]) best = medians;
    const over = best[1] / (best[0] * ratio);
    if (over <= 1 || over > 2) break;
  }
  const [before, after] = best!;
  const status = after <= before * ratio ? 'passed' : 'failed';
  return checkRow({
    ...{ model, kind: 'budget', item: 'latency', status, unit: 'milliseconds' },
    golden: before,
    now: after,
    limit: before * ratio,
  });
}

/** Turns, and the seconds that they may take. */
const turns = { atLeast: 5, atMost: 100, seconds: 1.5 };

function alternate(golden: Timed, now: Timed): [number, number] {
  const times: [number[], number[]] = [[], []];
  // The first run of each makes what later ones use.
  for (const { model, feeds } of [golden, now]) model.time(feeds, 2);
  const deadline = performance.now() + 1000 * turns.seconds;
  for (let turn = 0; turn < turns.atMost; turn++) {
    if (turn >= turns.atLeast && performance.now() > deadline) break;
    // Who is first has its caches cold: both are, in turns.
    const order = turn % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const);
    for (const side of order) {
      const { model, feeds } = [golden, now][side]!;
      times[side].push(...model.time(feeds, 1));
    }
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
  return [median(times[0]), median(times[1])];
}
