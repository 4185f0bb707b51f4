import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { activeLauncher } from '../distributed/mpi/joinMpi.js';
import { openKnnMonitor } from '../evaluation/knnMonitor.js';
import { TensorBoardLog } from '../tensorboard/tensorBoardLog.js';
import { EventLog } from './eventLog.js';
import type { TrainingEvent } from './events.js';
import { FolderLock } from './folderLock.js';
import { prepareRun, type RunOptions } from './prepareRun.js';
import { Ranks } from './ranks.js';
import { sent, type SentError } from './sentError.js';
import { announceRun, receiveRun, shareRun } from './shareRun.js';
import { trainingLoop, type StopReason } from './trainingLoop.js';
import type { Requests, TrainingMessage } from './trainingProcess.js';

type Send = (message: TrainingMessage, onSent?: () => void) => void;

/** Milliseconds that the parent has to say what has happened before its launcher ends it. */
const saying = 1000;

/** Prepares a run and trains, alone in its folder or with other ranks; sends what happens and how it ended. */
export async function train(
  options: RunOptions,
  command: string,
  requests: Requests,
  send: Send,
): Promise<void> {
  const launcher = activeLauncher(options.config.runtime);
  if (!launcher) return lead(options, command, requests, null, send);
  const ranks = await Ranks.join(launcher, options.config.runtime, requests.parent);
  send({ kind: 'joined' });
  let code = 1;
  requests.onOrphaned = () => ranks.abort(code);
  const leave: Send = (message) => {
    if (message.kind === 'failed') {
      code = message.error.exitCode ?? 1;
      setTimeout(() => ranks.abort(code), saying);
      send({ ...message, endsAll: true });
    } else if (message.kind === 'done') {
      // By itself: launchers end the others when one has gone without a word.
      ranks.end().then(
        () => send(message, () => process.exit(0)),
        (error: Error) => leave({ kind: 'failed', error: sent(error) }),
      );
    } else send(message);
  };
  return ranks.leads
    ? lead(options, command, requests, ranks, leave)
    : follow(options, requests, ranks, leave);
}

/** Trains as the one that prepares, measures, logs and saves. */
async function lead(
  options: RunOptions,
  command: string,
  requests: Requests,
  ranks: Ranks | null,
  send: Send,
): Promise<void> {
  const { stop } = requests;
  const onProgress = (message: string) => send({ kind: 'progress', message });
  let log: EventLog | undefined;
  // What is said before the log has begun is written behind its start.
  const unlogged: string[] = [];
  const onNotice = (message: string) => {
    send({ kind: 'notice', message });
    if (log) log.write({ type: 'notice', message });
    else unlogged.push(message);
  };
  let lock: FolderLock | undefined;
  const end = (message: TrainingMessage) => {
    lock?.release();
    send(message);
  };
  let isTraining = false;
  try {
    lock = await FolderLock.acquire(options.runFolder, {
      command,
      parent: requests.parent,
      onWait: onNotice,
      onLost: (error) => {
        send({ kind: 'failed', error: sent(error) });
        if (!ranks) process.kill(process.pid, 'SIGKILL');
      },
      signal: stop,
    });
    // Nothing is lost by an end before the first step: whatever takes long there is not waited for.
    stop.addEventListener('abort', () => {
      if (!isTraining) end({ kind: 'early' });
    });
    const run = await prepareAll(options, ranks, { onProgress, onNotice, signal: stop });
    const events = new EventLog(options.runFolder);
    const tensorboard = options.config.tensorboard ? new TensorBoardLog(options.runFolder) : null;
    const reason: StopReason = await trainingLoop(run, {
      emit: (event: TrainingEvent) => {
        events.write(event);
        if (event.type === 'start') {
          log = events;
          for (const message of unlogged) log.write({ type: 'notice', message });
        }
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

/** Prepares a run, and gives it to the other ranks. */
async function prepareAll(
  options: RunOptions,
  ranks: Ranks | null,
  report: Parameters<typeof prepareRun>[1],
): ReturnType<typeof prepareRun> {
  const prepare = (config: RunOptions['config']) =>
    prepareRun(
      { ...options, config },
      { ...report, ...(ranks && { runtimeOf: (runtime) => ranks.runtimeOf(runtime) }) },
      async (config) => {
        const { initialize } = await import('../import/initialize.js');
        return initialize(config);
      },
    );
  if (!ranks) return prepare(options.config);
  ranks.check();
  const config = ranks.configOf(options.config, (options.resume ?? false) !== false);
  const notice = ranks.notice(config.runtime);
  if (notice !== null) report.onNotice(notice);
  await announceRun(ranks, config);
  return shareRun(ranks, await prepare(config));
}

/** Trains as one of those that rank 0 tells what to do. */
async function follow(options: RunOptions, requests: Requests, ranks: Ranks, send: Send): Promise<void> {
  const { stop } = requests;
  const { cacheDirectory } = options;
  let isTraining = false;
  stop.addEventListener('abort', () => {
    if (!isTraining) send({ kind: 'early' });
  });
  let folder: string | undefined;
  // What cannot be removed stays among temporary files; the training does not end for it.
  const clear = async () =>
    void (folder && (await rm(folder, { recursive: true, force: true }).catch(() => {})));
  try {
    ranks.check();
    folder = await mkdtemp(join(tmpdir(), 'slimclr-rank-'));
    const run = await receiveRun(ranks, { folder, cacheDirectory, signal: stop });
    const reason = await trainingLoop(run, {
      emit: () => {},
      openMonitor: openKnnMonitor,
      onFirstStep: () => {
        isTraining = true;
        void clear();
        send({ kind: 'training' });
      },
      stop,
      checkpointAsked: requests.checkpointAsked,
    });
    send({ kind: 'done', reason });
  } catch (error) {
    await clear();
    send({ kind: 'failed', error: sent(await ranks.failed(error as Error & Partial<SentError>)) });
  } finally {
    await clear();
  }
}
