import type { TrainingEvent } from './events.js';
import type { RunOptions } from './prepareRun.js';
import { sent, type SentError } from './sentError.js';
import { TimeLimit } from './timeLimit.js';
import type { StopReason } from './trainingLoop.js';

/*
 * The child process of pretrain.ts. What it does first is to settle its signals, before it loads what trains. It
 * listens between the runs of ONNX Runtime, which block its thread.
 */

export type TrainingRequest =
  /** `command`: how the parent was called. */
  | { readonly kind: 'start'; readonly options: RunOptions; readonly command: string }
  /** Write a checkpoint after the current step and end. `isLate`: because the time is up. */
  | { readonly kind: 'stop'; readonly isLate: boolean }
  /** Write a checkpoint after the current step and go on. */
  | { readonly kind: 'checkpoint' };

export type TrainingMessage =
  /** All ranks have joined each other. */
  | { readonly kind: 'joined' }
  | { readonly kind: 'progress'; readonly message: string }
  | { readonly kind: 'notice'; readonly message: string }
  | { readonly kind: 'event'; readonly event: TrainingEvent }
  /** The first step begins: from now on a sudden end would lose work. */
  | { readonly kind: 'training' }
  /** It was to stop before the first step; this process may be ended. */
  | { readonly kind: 'early' }
  | { readonly kind: 'done'; readonly reason: StopReason }
  /** `endsAll`: this process goes on to have its launcher end it, and all others that train with it. */
  | {
      readonly kind: 'failed';
      readonly error: SentError;
      readonly endsAll?: boolean;
    };

/** What the parent asks of a training. */
export class Requests {
  /** Process that asks. */
  readonly parent = process.ppid;
  readonly #stop = new AbortController();
  #checkpoint = false;
  /** Nobody is left to train for. process.exit would wait for the threads of ONNX Runtime. */
  onOrphaned = (): void => void process.kill(process.pid, 'SIGKILL');

  /** Aborted when training is to write a checkpoint and end. */
  get stop(): AbortSignal {
    return this.#stop.signal;
  }

  /** Whether a checkpoint was asked for since the last call. */
  readonly checkpointAsked = (): boolean => {
    const asked = this.#checkpoint;
    this.#checkpoint = false;
    return asked;
  };

  take(request: TrainingRequest): void {
    if (request.kind === 'stop') this.#stop.abort(request.isLate ? new TimeLimit() : undefined);
    else if (request.kind === 'checkpoint') this.#checkpoint = true;
  }
}

// A terminal, a container or a batch system sends signals to both processes; the parent decides what they mean. That of
// SIGUSR1 would otherwise be Node's debugger.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1'] as const) process.on(signal, () => {});
process.on('disconnect', () => requests.onOrphaned());
process.on('uncaughtException', (error) => send({ kind: 'failed', error: sent(error) }));

const requests = new Requests();
process.on('message', (request: TrainingRequest) => {
  if (request.kind !== 'start') return requests.take(request);
  const { options, command } = request;
  void import('./trainingJob.js')
    .then(({ train }) => train(options, command, requests, send))
    .catch((error: Error) => send({ kind: 'failed', error: sent(error) }));
});

function send(message: TrainingMessage, onSent?: () => void): void {
  process.send!(message, undefined, undefined, onSent);
}
