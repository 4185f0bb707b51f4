import { openKnnMonitor } from '../evaluation/knnMonitor.js';
import { TensorBoardLog } from '../tensorboard/tensorBoardLog.js';
import { EventLog } from './eventLog.js';
import type { TrainingEvent } from './events.js';
import { FolderLock } from './folderLock.js';
import { prepareRun, type RunOptions } from './prepareRun.js';
import { sent } from './sentError.js';
import { trainingLoop, type StopReason } from './trainingLoop.js';
import type { Requests, TrainingMessage } from './trainingProcess.js';

/** Prepares a run and trains, alone in its folder; sends what happens and how it ended. */
export async function train(
  options: RunOptions,
  command: string,
  requests: Requests,
  send: (message: TrainingMessage) => void,
): Promise<void> {
  const { stop } = requests;
  const onProgress = (message: string) => send({ kind: 'progress', message });
  const onNotice = (message: string) => send({ kind: 'notice', message });
  const lock = await FolderLock.acquire(options.runFolder, {
    command,
    parent: process.ppid,
    onWait: onNotice,
    onLost: (error) => {
      send({ kind: 'failed', error: sent(error) });
      process.kill(process.pid, 'SIGKILL');
    },
    signal: stop,
  });
  const end = (message: TrainingMessage) => {
    lock.release();
    send(message);
  };
  // Nothing is lost by an end before the first step: whatever takes long there is not waited for.
  let isTraining = false;
  stop.addEventListener('abort', () => {
    if (!isTraining) end({ kind: 'done', reason: 'interrupted' });
  });
  try {
    const run = await prepareRun(options, { onProgress, onNotice, signal: stop });
    const log = new EventLog(options.runFolder);
    const tensorboard = options.config.tensorboard ? new TensorBoardLog(options.runFolder) : null;
    const reason: StopReason = await trainingLoop(run, {
      emit: (event: TrainingEvent) => {
        log.write(event);
        tensorboard?.write(event);
        send({ kind: 'event', event });
      },
      openMonitor: openKnnMonitor,
      onProgress,
      onFirstStep: () => {
        isTraining = true;
        send({ kind: 'training' });
      },
      stop,
      checkpointAsked: requests.checkpointAsked,
    });
    end({ kind: 'done', reason });
  } catch (error) {
    end({ kind: 'failed', error: sent(error as Error) });
  }
}
