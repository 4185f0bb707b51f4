import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { SlimclrError, UsageError } from '../../errors.js';
import { isAbsent } from '../../plainFile.js';
import { logFile } from '../../training/eventLog.js';
import { lockFile } from '../../training/folderLock.js';
import { LogFollower } from '../../training/logFollower.js';
import { SnapshotBuilder, type RunSnapshot } from './snapshot.js';

export interface WatchOptions {
  /** Seconds between two snapshots; default 2. */
  readonly interval?: number;
  /** Aborting it ends the watching. */
  readonly signal?: AbortSignal;
}

/**
 * What a run is doing, again and again until it has ended: from its log alone, wherever it is written. A log that cannot
 * be reached for a while is said in `notices`. Throws a UsageError for a folder in which no run has begun.
 */
export async function* watchRun(
  folder: string,
  { interval = 2, signal }: WatchOptions = {},
): AsyncGenerator<RunSnapshot, void, undefined> {
  let builder = new SnapshotBuilder(folder);
  const follower = new LogFollower(join(folder, logFile), {
    onEvent: (event) => builder.add(event),
    onReplaced: () => (builder = new SnapshotBuilder(folder)),
  });
  let hasRead = false;
  while (!signal?.aborted) {
    let problem: string | null = null;
    try {
      await follower.poll();
      hasRead = true;
    } catch (error) {
      if (error instanceof SlimclrError) throw error;
      if (hasRead) problem = `${logFile} cannot be read now: ${(error as Error).message}`;
      else if (!isAbsent(error)) throw unreadable(folder, error as Error);
      else if (!(await isPrepared(folder))) {
        throw new UsageError(
          `${folder}: no ${logFile}; accepted: the run folder of a \`slimclr pretrain\` that has begun`,
        );
      }
    }
    const snapshot = builder.build(Date.now());
    yield problem === null ? snapshot : { ...snapshot, notices: [...snapshot.notices, problem] };
    if (!isGoingOn(snapshot)) return;
    await wait(1000 * interval, undefined, { ...(signal && { signal }) }).catch(() => {});
  }
}

/** What a run is doing now. Throws what `watchRun` throws. */
export async function runSnapshot(folder: string): Promise<RunSnapshot> {
  for await (const snapshot of watchRun(folder)) return snapshot;
  throw new Error('there is always a first one');
}

/** Whether a run has not ended, as far as its log tells. */
export function isGoingOn({ state }: RunSnapshot): boolean {
  return state === 'preparing' || state === 'running' || state === 'silent';
}

/** Whether a run that has logged nothing yet is being prepared there, or was. */
async function isPrepared(folder: string): Promise<boolean> {
  for (const file of [lockFile, 'config.json']) {
    if (
      await lstat(join(folder, file)).then(
        () => true,
        () => false,
      )
    )
      return true;
  }
  return false;
}

function unreadable(folder: string, cause: Error): SlimclrError {
  return new SlimclrError(`${join(folder, logFile)} cannot be read (${cause.message})`, { cause });
}
