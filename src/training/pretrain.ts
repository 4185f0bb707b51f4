import { fork } from 'node:child_process';
import { SlimclrError } from '../errors.js';
import { memoryEnvironment } from '../runtime/memory.js';
import type { TrainingEvent } from './events.js';
import type { RunOptions } from './prepareRun.js';
import { revived } from './sentError.js';
import type { StopReason } from './trainingLoop.js';
import type { TrainingMessage, TrainingRequest } from './trainingProcess.js';

export interface PretrainOptions extends RunOptions {
  readonly onEvent?: (event: TrainingEvent) => void;
  /** Told of what takes long before training starts, such as a download. */
  readonly onProgress?: (message: string) => void;
  /** Told what a person should know of the run, such as that it cannot use the fast kernels. */
  readonly onNotice?: (message: string) => void;
  /** Aborting it writes a checkpoint after the current step and ends the run with `interrupted`. */
  readonly signal?: AbortSignal;
}

/**
 * Pre-trains in a process of its own, whose memory is tuned for it and which may crash without this one:
 * writes the program folder, then runs the training loop.
 * Throws a UsageError for a run folder that already holds a run (unless it is resumed) and for a checkpoint of
 * another config; a SlimclrError when training fails. Nothing saved before is lost.
 */
export async function pretrain(options: PretrainOptions): Promise<StopReason> {
  const { onEvent, onProgress, onNotice, signal, ...run } = options;
  const child = fork(new URL('./trainingProcess.js', import.meta.url), {
    env: { ...memoryEnvironment, ...process.env },
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  // A child that cannot be told anything has ended, which its exit tells.
  const send = (request: TrainingRequest) => child.send(request, () => {});
  const abort = () => send({ kind: 'stop' });
  signal?.addEventListener('abort', abort, { once: true });
  send({ kind: 'start', options: run });
  if (signal?.aborted) abort();
  try {
    return await new Promise<StopReason>((resolve, reject) => {
      child.on('message', (message: TrainingMessage) => {
        if (message.kind === 'progress') onProgress?.(message.message);
        else if (message.kind === 'notice') onNotice?.(message.message);
        else if (message.kind === 'event') onEvent?.(message.event);
        else if (message.kind === 'done') resolve(message.reason);
        else reject(revived(message.error));
      });
      child.once('error', reject);
      child.once('exit', (code, cause) => {
        const end = cause === null ? `ended with code ${code}` : `was ended by ${cause}`;
        reject(new SlimclrError(`the training process ${end}; the last checkpoint is kept`));
      });
    });
  } finally {
    signal?.removeEventListener('abort', abort);
    child.kill('SIGKILL');
  }
}
