import { TensorBoardLog } from '../tensorboard/tensorBoardLog.js';
import { EventLog } from './eventLog.js';
import type { TrainingEvent } from './events.js';
import { prepareRun, type RunOptions } from './prepareRun.js';
import { sent, type SentError } from './sentError.js';
import { trainingLoop, type StopReason } from './trainingLoop.js';

/*
 * The child process of pretrain.ts: prepares a run and trains. It listens between the runs of ONNX Runtime,
 * which block its thread.
 */

export type TrainingRequest =
  | { readonly kind: 'start'; readonly options: RunOptions }
  /** Write a checkpoint after the current step and end. */
  | { readonly kind: 'stop' };

export type TrainingMessage =
  | { readonly kind: 'progress'; readonly message: string }
  | { readonly kind: 'notice'; readonly message: string }
  | { readonly kind: 'event'; readonly event: TrainingEvent }
  | { readonly kind: 'done'; readonly reason: StopReason }
  | { readonly kind: 'failed'; readonly error: SentError };

let stopRequested = false;

// A terminal sends Ctrl-C to both processes; the parent decides what it means.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});
// Nobody is left to train for. process.exit would wait for the threads of ONNX Runtime.
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
process.on('uncaughtException', (error) => send({ kind: 'failed', error: sent(error) }));
process.on('message', (request: TrainingRequest) => {
  if (request.kind === 'stop') stopRequested = true;
  else void train(request.options);
});

async function train(options: RunOptions): Promise<void> {
  try {
    const run = await prepareRun(options, {
      onProgress: (message) => send({ kind: 'progress', message }),
      onNotice: (message) => send({ kind: 'notice', message }),
    });
    const log = new EventLog(options.runFolder);
    const tensorboard = options.config.tensorboard ? new TensorBoardLog(options.runFolder) : null;
    const onEvent = (event: TrainingEvent) => {
      log.write(event);
      tensorboard?.write(event);
      send({ kind: 'event', event });
    };
    const reason = await trainingLoop(run, onEvent, () => stopRequested);
    send({ kind: 'done', reason });
  } catch (error) {
    send({ kind: 'failed', error: sent(error as Error & Partial<SentError>) });
  }
}

function send(message: TrainingMessage): void {
  process.send!(message);
}
