import { fork, type IOType } from 'node:child_process';
import { joined, joining, joinsNobody, turnOf, unjoined } from '../distributed/mpi/beforeJoining.js';
import { cannotMeet } from '../distributed/mpi/library.js';
import { activeLauncher } from '../distributed/mpi/joinMpi.js';
import { launcherDescriptors } from '../distributed/mpi/launcher.js';
import { LostEngineError, SaidElsewhere, SlimclrError } from '../errors.js';
import { memoryEnvironment } from '../engines/memoryEnvironment.js';
import { watchKills } from '../killed.js';
import { listCheckpoints } from './checkpoint.js';
import type { TrainingEvent } from './events.js';
import type { RunOptions } from './prepareRun.js';
import { commandLine } from './processes.js';
import { revived } from './sentError.js';
import { afterMinutes } from './timeLimit.js';
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
  /**
   * Minutes from now after which the run ends like one that is aborted, with `time-limit`. Before the first step, where
   * another try would come no further, that is an error.
   */
  readonly maxMinutes?: number;
}

/** Milliseconds that a process has to end by itself while there is nothing to lose. */
const patience = 700;
/** Seconds that ranks have at least to find each other. */
const startSeconds = 60;
/** Milliseconds in which a signal that ended the child may be heard of here as well. */
const sameSignal = 300;

/**
 * Pre-trains in a process of its own, whose memory is tuned for it and which may crash without this one:
 * writes the program folder, then runs the training loop. One process at a time trains in a folder.
 * Throws a UsageError for a run folder that already holds a run (unless it is resumed) and for a checkpoint of
 * another config; a SlimclrError when training fails, the time is up before the first step or another process trains in the folder. Nothing saved before is
 * lost.
 */
export async function pretrain(options: PretrainOptions): Promise<StopReason> {
  const { onEvent, onProgress, onNotice, onTraining, signal, maxMinutes, ...run } = options;
  if (signal?.aborted) return 'interrupted';
  if (maxMinutes !== undefined && maxMinutes <= 0) throw tooShort();
  const launcher = activeLauncher(run.config.runtime);
  if (!launcher) joinsNobody();
  else if (launcher.family !== null) joining();
  // Nobody can end the others, who all know it.
  else throw new (launcher.rank > 0 ? SaidElsewhere : SlimclrError)(cannotMeet(launcher.name));
  const killer = watchKills();
  const child = fork(new URL('./trainingProcess.js', import.meta.url), {
    env: { ...memoryEnvironment, ...process.env },
    execArgv: [...process.execArgv, ...debuggerOff()],
    serialization: 'advanced',
    stdio: streams(launcher ? launcherDescriptors() : []),
  });
  // A child that cannot be told anything has ended, which its exit tells.
  const send = (request: TrainingRequest) => child.send(request, () => {});
  let isTraining = false;
  let timer: NodeJS.Timeout | undefined;
  let joinTimer: NodeJS.Timeout | undefined;
  let reason: StopReason | undefined;
  let endsAll = false;
  /** Why it is to end; the first reason counts. */
  let ending: Extract<StopReason, 'interrupted' | 'time-limit'> | undefined;
  const end = (reason: NonNullable<typeof ending>) => {
    if (ending) return;
    ending = reason;
    send({ kind: 'stop', isLate: reason === 'time-limit' });
    timer = setTimeout(() => {
      if (!isTraining) child.kill('SIGKILL');
    }, patience);
  };
  const abort = () => end('interrupted');
  signal?.addEventListener('abort', abort, { once: true });
  const forget = maxMinutes === undefined ? () => {} : afterMinutes(maxMinutes, () => end('time-limit'));
  send({ kind: 'start', options: run, command: commandLine() });
  try {
    return await new Promise<StopReason>((resolve, reject) => {
      const endEarly = () => (ending === 'time-limit' ? reject(tooShort()) : resolve('interrupted'));
      child.on('message', (message: TrainingMessage) => {
        if (message.kind === 'progress') onProgress?.(message.message);
        else if (message.kind === 'notice') onNotice?.(message.message);
        else if (message.kind === 'joined') {
          joined();
          clearTimeout(joinTimer);
        } else if (message.kind === 'event') onEvent?.(message.event);
        else if (message.kind === 'training') {
          isTraining = true;
          onTraining?.({ checkpoint: () => send({ kind: 'checkpoint' }) });
        } else if (ending && !isTraining) endEarly();
        else if (message.kind === 'done' && launcher) reason = message.reason;
        else if (message.kind === 'done') resolve(message.reason);
        else if (message.kind === 'failed') {
          endsAll = message.endsAll ?? false;
          void completed(revived(message.error), run.runFolder, launcher?.rank).then(reject);
        }
      });
      // Starting takes longer than a step may.
      const seconds = Math.max(startSeconds, run.config.runtime.stepTimeout);
      if (launcher && run.config.runtime.stepTimeout > 0) {
        // Calls of MPI that join the others block the child.
        const late = () => reject(notJoined(seconds));
        joinTimer = setTimeout(late, Math.min(1000 * seconds + turnOf(launcher), 2 ** 31 - 1));
      }
      child.once('error', reject);
      child.once('exit', (code, cause) => {
        if (reason) return resolve(reason);
        const settle = async () => {
          if (ending && !isTraining) return endEarly();
          const by = cause === 'SIGKILL' ? ` (${killer()})` : '';
          const end = cause === null ? `ended with code ${code}` : `was ended by ${cause}${by}`;
          const follows = launcher !== null && launcher.rank > 0;
          const of = follows && unjoined() === null ? `rank ${launcher.rank}: ` : '';
          const what = !follows ? `; ${await kept(run.runFolder)}` : '';
          reject(new SlimclrError(`${of}the training process ${end}${what}`));
        };
        // A signal to both processes ends a child that has not got so far as to leave it to this one.
        setTimeout(() => void settle(), isTraining || cause === null ? 0 : sameSignal);
      });
    });
  } finally {
    clearTimeout(timer);
    clearTimeout(joinTimer);
    forget();
    signal?.removeEventListener('abort', abort);
    // One that has failed among others has its launcher end them all, when this process has said why.
    if (endsAll) {
      child.unref();
      child.channel?.unref();
    } else child.kill('SIGKILL');
  }
}

function tooShort(): SlimclrError {
  return new SlimclrError('the time was up before the first step; accepted: a longer time limit');
}

function notJoined(seconds: number): SlimclrError {
  return new SlimclrError(
    `the other ranks have been waited for since ${seconds} s (runtime.stepTimeout): one of them hangs, or did not start`,
  );
}

/** Of the child: those over which a launcher of MPI talks to it keep their numbers. */
function streams(descriptors: readonly number[]): (IOType | 'ipc' | number)[] {
  const streams: (IOType | 'ipc' | number)[] = ['ignore', 'inherit', 'inherit'];
  for (const descriptor of descriptors) {
    while (streams.length <= descriptor) streams.push('ignore');
    streams[descriptor] = descriptor;
  }
  return [...streams, 'ipc'];
}

/** An error of a training; of one whose engine is gone, with what remains of the run. */
async function completed(error: Error, runFolder: string, rank = 0): Promise<Error> {
  // Others than rank 0 have no run folder.
  if (error instanceof LostEngineError && rank === 0) error.message += `; ${await kept(runFolder)}`;
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
