import { fork } from 'node:child_process';
import { LostEngineError, SlimclrError } from '../errors.js';
import { memoryEnvironment } from '../engines/memoryEnvironment.js';
import { listCheckpoints } from './checkpoint.js';
import type { TrainingEvent } from './events.js';
import type { RunOptions } from './prepareRun.js';
import { commandLine } from './processes.js';
import { revived } from './sentError.js';
import type { StopReason } from './trainingLoop.js';
import type { TrainingMessage, TrainingRequest } from './trainingProcess.js';

/** What can be asked of a training while it runs. */
export interface TrainingControl {
  /** Writes a checkpoint after the current step; training goes on. */
  checkpoint(): void;
}

export interface PretrainOptions extends RunOptions {
  readonly onEvent?: (event: TrainingEvent) => void;
  /** Told of what takes long before training starts, such as a download. */
  readonly onProgress?: (message: string) => void;
  /** Told what a person should know of the run, such as that it cannot use the fast kernels. */
  readonly onNotice?: (message: string) => void;
  /** Told when the first step begins. */
  readonly onTraining?: (control: TrainingControl) => void;
  /**
   * Aborting it writes a checkpoint after the current step and ends the run with `interrupted`; before the first step it
   * ends at once.
   */
  readonly signal?: AbortSignal;
}

/** Milliseconds that a process has to end by itself while there is nothing to lose. */
const patience = 700;
/** Milliseconds in which a signal that ended the child may be heard of here as well. */
const sameSignal = 300;

/**
 * Pre-trains in a process of its own, whose memory is tuned for it and which may crash without this one:
 * writes the program folder, then runs the training loop. One process at a time trains in a folder.
 * Throws a UsageError for a run folder that already holds a run (unless it is resumed) and for a checkpoint of
 * another config; a SlimclrError when training fails or another process trains in the folder. Nothing saved before is
 * lost.
 */
export async function pretrain(options: PretrainOptions): Promise<StopReason> {
  const { onEvent, onProgress, onNotice, onTraining, signal, ...run } = options;
  if (signal?.aborted) return 'interrupted';
  const child = fork(new URL('./trainingProcess.js', import.meta.url), {
    env: { ...memoryEnvironment, ...process.env },
    execArgv: [...process.execArgv, ...debuggerOff()],
    serialization: 'advanced',
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  // A child that cannot be told anything has ended, which its exit tells.
  const send = (request: TrainingRequest) => child.send(request, () => {});
  let isTraining = false;
  let timer: NodeJS.Timeout | undefined;
  const abort = () => {
    send({ kind: 'stop' });
    timer = setTimeout(() => {
      if (!isTraining) child.kill('SIGKILL');
    }, patience);
  };
  signal?.addEventListener('abort', abort, { once: true });
  send({ kind: 'start', options: run, command: commandLine() });
  try {
    return await new Promise<StopReason>((resolve, reject) => {
      child.on('message', (message: TrainingMessage) => {
        if (message.kind === 'progress') onProgress?.(message.message);
        else if (message.kind === 'notice') onNotice?.(message.message);
        else if (message.kind === 'event') onEvent?.(message.event);
        else if (message.kind === 'training') {
          isTraining = true;
          onTraining?.({ checkpoint: () => send({ kind: 'checkpoint' }) });
        } else if (message.kind === 'done') resolve(message.reason);
        else if (signal?.aborted && !isTraining) resolve('interrupted');
        else void completed(revived(message.error), run.runFolder).then(reject);
      });
      child.once('error', reject);
      child.once('exit', (code, cause) => {
        const settle = async () => {
          if (signal?.aborted && !isTraining) return resolve('interrupted');
          const end = cause === null ? `ended with code ${code}` : `was ended by ${cause}`;
          reject(new SlimclrError(`the training process ${end}; ${await kept(run.runFolder)}`));
        };
        // A signal to both processes ends a child that has not got so far as to leave it to this one.
        setTimeout(() => void settle(), isTraining || cause === null ? 0 : sameSignal);
      });
    });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', abort);
    child.kill('SIGKILL');
  }
}

/** An error of a training; of one whose engine is gone, with what remains of the run. */
async function completed(error: Error, runFolder: string): Promise<Error> {
  if (error instanceof LostEngineError) error.message += `; ${await kept(runFolder)}`;
  return error;
}

/** What remains of a run whose process has ended. */
async function kept(runFolder: string): Promise<string> {
  const checkpoints = await listCheckpoints(runFolder).catch(() => []);
  return checkpoints.length > 0 ? 'the last checkpoint is kept' : 'there was no checkpoint yet';
}

/** Where Node knows how: without the debugger on SIGUSR1, from before the first line of the child. */
function debuggerOff(): string[] {
  const option = '--disable-sigusr1';
  return process.allowedNodeEnvironmentFlags.has(option) ? [option] : [];
}
