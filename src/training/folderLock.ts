import { randomUUID } from 'node:crypto';
import { readFileSync, rmdirSync, unlinkSync } from 'node:fs';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { z } from 'zod';
import { SlimclrError, UsageError } from '../errors.js';
import { makeFolder } from '../makeFolder.js';
import { sha256 } from '../onnx/hash.js';
import { isAbsent } from '../plainFile.js';
import { asideOf, createWhole } from './createWhole.js';
import { identify, runs, thisMachine } from './processes.js';

/*
 * One process at a time writes in a run folder. It holds the file `run.lock` there, which says who it is, and touches
 * it every few seconds. Whether a process of the same machine still runs is known; of another machine, and of another
 * container, its file tells by standing still.
 */

export const lockFile = 'run.lock';

/** Milliseconds between two signs of life, and how long none makes the lock of another machine a dead one. */
const defaultBeat = 10_000;
const silence = 120_000;
/** How long the processes of a run may need to end after the one that started them. */
const ending = 120_000;
const poll = 200;

const processSchema = z.object({ pid: z.int().positive(), started: z.string().nullable() });
const lockSchema = z.object({
  format: z.literal('slimclr-lock'),
  version: z.literal(1),
  /** Of this very lock. */
  token: z.string(),
  host: z.string(),
  boot: z.string().nullable(),
  namespace: z.string().nullable(),
  /** The process that writes. */
  process: processSchema,
  /** The one that started it and without which it ends; that one is signalled. Null: the writing one itself. */
  parent: processSchema.nullable(),
  time: z.string(),
  command: z.string(),
});
type Lock = z.infer<typeof lockSchema>;

/** A lock as it was found. */
interface Found {
  readonly text: string;
  /** Null when it cannot be read. */
  readonly lock: Lock | null;
  /** Milliseconds; by the clock of the file system. */
  readonly touched: number;
  readonly age: number;
}

export interface LockOptions {
  /** How the process was called. */
  readonly command: string;
  /** The process without which this one ends. */
  readonly parent?: number;
  /** Told, once, that another process is waited for. */
  readonly onWait?: (message: string) => void;
  /** Told that another process has the folder now: nothing may be written any more. */
  readonly onLost?: (error: SlimclrError) => void;
  /** Aborting it ends the waiting with its reason. */
  readonly signal?: AbortSignal;
  /** Milliseconds without a sign of life that make the lock of another machine a dead one. */
  readonly silence?: number;
  /** Milliseconds between two signs of life. */
  readonly beat?: number;
}

/**
 * How a process that writes in a folder was called and where it runs; null when none does. Nothing is written: of another
 * machine the clock of this one tells how old its last sign of life is.
 */
export async function writerOf(
  folder: string,
): Promise<{ readonly host: string; readonly command: string } | null> {
  const path = join(folder, lockFile);
  try {
    const lock = parse(await readFile(path, 'utf8'));
    const age = Date.now() - (await stat(path)).mtimeMs;
    if (isDead({ lock, age }, silence)) return null;
    return { host: lock?.host ?? 'unknown', command: lock?.command ?? 'unknown' };
  } catch (error) {
    if (isAbsent(error)) return null;
    throw error;
  }
}

/** The right to write in a folder. */
export class FolderLock {
  readonly #heartbeat: Worker;

  private constructor(
    private readonly folder: string,
    private readonly text: string,
    private readonly isNewFolder: boolean,
    { onLost, beat = defaultBeat }: LockOptions,
  ) {
    // A thread of its own: the runs of ONNX Runtime block this one.
    this.#heartbeat = new Worker(new URL('./lockHeartbeat.js', import.meta.url), {
      workerData: { path: join(folder, lockFile), text, beat },
    });
    this.#heartbeat.unref();
    this.#heartbeat.on('message', (holder: string) => {
      const by = parse(holder);
      onLost?.(
        new SlimclrError(
          `${folder}: the run was taken over${by ? ` by process ${signalled(by)} on ${by.host}` : ''}; ` +
            'this one writes nothing more',
        ),
      );
    });
  }

  /**
   * Takes the lock of a folder, which is created if need be. The lock of a process that has ended is taken over. Throws a
   * SlimclrError that names the process which holds it, and a UsageError for what is no folder.
   */
  static async acquire(folder: string, options: LockOptions): Promise<FolderLock> {
    const { command, parent, onWait, signal, silence: limit = silence } = options;
    const isNew = (await makeFolder(folder).catch(notMade(folder))) !== undefined;
    const path = join(folder, lockFile);
    const lock: Lock = {
      format: 'slimclr-lock',
      version: 1,
      token: randomUUID(),
      ...thisMachine(),
      process: identify(process.pid),
      parent: parent === undefined ? null : identify(parent),
      time: new Date().toISOString(),
      command,
    };
    const text = `${JSON.stringify(lock, null, 2)}\n`;
    let first: Found | undefined;
    const began = performance.now();
    for (;;) {
      const found = await take(path, text, limit);
      if (found === null) return new FolderLock(folder, text, isNew, options);
      if (first?.text !== found.text) {
        first = found;
        const what = waitsFor(found, limit);
        if (what === null) throw busy(folder, found);
        onWait?.(`${folder}: ${what}`);
      }
      const isAlive =
        found.lock && isLocal(found.lock)
          ? performance.now() - began > ending
          : found.touched !== first.touched;
      if (isAlive) throw busy(folder, found);
      await sleep(poll, undefined, signal && { signal });
    }
  }

  /** Gives the lock back, at once. */
  release(): void {
    void this.#heartbeat.terminate();
    const path = join(this.folder, lockFile);
    try {
      if (readFileSync(path, 'utf8') === this.text) unlinkSync(path);
      // A folder that was made for a run that then could not begin.
      if (this.isNewFolder) rmdirSync(this.folder);
    } catch {
      // It holds a run, or the lock is another's.
    }
  }
}

/**
 * Tries to create a lock, or to take over a dead one. Null when it is ours, else what is there instead. A dead one is
 * replaced by whoever holds a lock on that very one, so that of two that find it one comes second, and never removes
 * what the other has just created.
 */
async function take(path: string, text: string, limit: number): Promise<Found | null> {
  for (;;) {
    if (await createWhole(path, text)) return null;
    const found = await look(path);
    if (!found) continue;
    if (!isDead(found, limit)) return found;
    const guard = `${path}.${sha256(found.text).slice(0, 8)}`;
    if ((await take(guard, text, limit)) !== null) {
      await sleep(poll / 10);
      continue;
    }
    try {
      if ((await look(path))?.text !== found.text) continue;
      const aside = asideOf(path);
      await writeFile(aside, text);
      await rename(aside, path);
      return null;
    } finally {
      await rm(guard, { force: true });
    }
  }
}

/** The lock that is there; null when there is none. */
async function look(path: string): Promise<Found | null> {
  const clock = asideOf(path);
  try {
    const file = await open(path, 'r');
    try {
      const text = await file.readFile('utf8');
      const touched = (await file.stat()).mtimeMs;
      // The clocks of machines differ: that of the file system counts for both.
      await writeFile(clock, '');
      return { text, lock: parse(text), touched, age: (await stat(clock)).mtimeMs - touched };
    } finally {
      await file.close();
      await rm(clock, { force: true });
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

function parse(text: string): Lock | null {
  try {
    return lockSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Whether the ids of a lock are those of this machine's processes. */
function isLocal(lock: Lock): boolean {
  const { host, boot, namespace } = thisMachine();
  return lock.host === host && lock.boot === boot && lock.namespace === namespace;
}

function isDead({ lock, age }: Pick<Found, 'lock' | 'age'>, limit: number): boolean {
  return lock && isLocal(lock) ? !runs(lock.process) : age >= limit;
}

/** Why a lock may soon be free, in words; null when it is held. */
function waitsFor({ lock, age }: Found, limit: number): string | null {
  if (lock && isLocal(lock)) {
    if (lock.parent === null || runs(lock.parent)) return null;
    return `waiting for process ${lock.process.pid} to end, whose parent has ended`;
  }
  const holder = lock ? `process ${signalled(lock)} on ${lock.host}` : 'an unknown process';
  return (
    `waiting for a sign of life of ${holder}, the last was ${Math.max(0, Math.round(age / 1000))} s ago; ` +
    `without one the run is taken over after ${limit / 1000} s, at once when ${lockFile} there is removed`
  );
}

/** Throws why a folder could not be made. */
function notMade(folder: string): (error: NodeJS.ErrnoException) => never {
  return (error) => {
    if (!['EEXIST', 'ENOTDIR'].includes(error.code ?? '')) throw error;
    throw new UsageError(`${folder} is no folder, or below a file; accepted: the path of a run folder`);
  };
}

function busy(folder: string, { lock }: Found): SlimclrError {
  if (lock === null) {
    return new SlimclrError(
      `${folder}: another process writes there, which cannot be told from its ${lockFile}`,
    );
  }
  const elsewhere = isLocal(lock) ? '' : `; if it has ended, remove ${join(folder, lockFile)}`;
  return new SlimclrError(
    `${folder} is in use by process ${signalled(lock)} on ${lock.host} since ${lock.time} (${lock.command}); ` +
      `accepted: another folder, or to end that process first${elsewhere}`,
  );
}

function signalled({ process, parent }: Lock): number {
  return (parent ?? process).pid;
}
