import { parentPort, workerData } from 'node:worker_threads';
import { SlimclrError } from '../errors.js';
import { EventLog } from './eventLog.js';
import type { TrainingEvent } from './events.js';
import { trainingLoop, type LoopOptions, type StopReason } from './trainingLoop.js';

/** What the worker is given: the loop's options and a flag that asks it to stop. */
export interface WorkerInput {
  readonly options: LoopOptions;
  /** One Int32; not 0 means stop after this step. A flag is seen at once, a message only between events. */
  readonly stop: SharedArrayBuffer;
}

export type WorkerMessage =
  | { readonly kind: 'event'; readonly event: TrainingEvent }
  | { readonly kind: 'done'; readonly reason: StopReason }
  /** A person's error; anything else ends the worker with its own stack trace. */
  | { readonly kind: 'failed'; readonly name: string; readonly message: string; readonly exitCode: number };

const { options, stop } = workerData as WorkerInput;
const flag = new Int32Array(stop);
const log = new EventLog(options.runFolder);
const post = (message: WorkerMessage) => parentPort!.postMessage(message);

try {
  const reason = await trainingLoop(
    options,
    (event) => {
      log.write(event);
      post({ kind: 'event', event });
    },
    () => Atomics.load(flag, 0) !== 0,
  );
  post({ kind: 'done', reason });
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  post({ kind: 'failed', name: error.name, message: error.message, exitCode: error.exitCode });
}
