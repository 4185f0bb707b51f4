import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { inspectImageFile } from './imageFiles.js';
import type { PixelFormat } from './rawImage.js';
import type { ScanReply, ScanSetup } from './scanWorker.js';
import { reasonOf } from '../errors.js';

/** What came of a file: why it is not used, or what identifies it. */
export type Inspection =
  | { readonly reason: string }
  | {
      readonly reason: null;
      readonly size: number;
      /** SHA-256, hexadecimal, of its content (`contentBudget`). */
      readonly digest: string;
      /** Null when the whole content is in `digest`; else what changes when the file is written to or replaced. */
      readonly stamp: string | null;
    };

/** Files a request to a worker. */
const requestFiles = 200;
/** Fewer files are not worth a thread. */
const workerFiles = 2000;
/** More than there are cores: they wait for the disk, or the network, most of the time. */
const maxWorkers = 8;

/** How files are looked at: `inspectImageFile`. */
export interface ScanKind {
  readonly budget: number;
  readonly pixels: PixelFormat;
}

export interface ScanOptions {
  /** Called with the number of files done. */
  readonly onFiles?: (done: number) => void;
  readonly signal?: AbortSignal | undefined;
}

/** Inspect files of a folder, in parallel when there are many; the results are in their order. */
export async function scanFiles(
  root: string,
  paths: readonly string[],
  as: ScanKind,
  { onFiles, signal }: ScanOptions = {},
): Promise<Inspection[]> {
  const results: Inspection[] = new Array<Inspection>(paths.length);
  const requests = Math.ceil(paths.length / requestFiles);
  let next = 0;
  let done = 0;
  const drain = async (inspect: (paths: readonly string[]) => Promise<readonly Inspection[]>) => {
    while (next < requests) {
      signal?.throwIfAborted();
      const start = next++ * requestFiles;
      const inspected = await inspect(paths.slice(start, start + requestFiles));
      for (const [i, inspection] of inspected.entries()) results[start + i] = inspection;
      done += inspected.length;
      onFiles?.(done);
    }
  };
  if (paths.length < workerFiles) {
    await drain((some) => inspectAll(root, some, as, signal));
    return results;
  }
  const setup: ScanSetup = { root, as };
  const count = Math.min(maxWorkers, Math.floor(paths.length / (workerFiles / 2)));
  const workers = Array.from(
    { length: count },
    () => new Worker(new URL('./scanWorker.js', import.meta.url), { workerData: setup }),
  );
  try {
    await Promise.all(workers.map((worker) => drain((some) => request(worker, some, signal))));
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
  return results;
}

/** Files inspected between two looks at what else is to be done. */
const breath = 16;

/** Inspect files one after the other. */
export async function inspectAll(
  root: string,
  paths: readonly string[],
  as: ScanKind,
  signal?: AbortSignal,
): Promise<Inspection[]> {
  const inspections: Inspection[] = [];
  for (const [i, path] of paths.entries()) {
    if (signal && i % breath === 0) {
      await setImmediate();
      signal.throwIfAborted();
    }
    inspections.push(await inspect(root, path, as));
  }
  return inspections;
}

async function inspect(root: string, path: string, { budget, pixels }: ScanKind): Promise<Inspection> {
  try {
    const { size, digest, stamp, header } = inspectImageFile(root, path, budget, pixels);
    // Where the header does not tell, the decoder is loaded, which takes as long as a thousand other files.
    if (!header) await (await import('./imageDecoder.js')).askSharp(resolve(root, path), pixels);
    return { reason: null, size, digest: digest.toString('hex'), stamp };
  } catch (error) {
    return { reason: reasonOf(error) };
  }
}

async function request(
  worker: Worker,
  paths: readonly string[],
  signal: AbortSignal | undefined,
): Promise<readonly Inspection[]> {
  worker.postMessage(paths);
  // `once` rejects with what a worker throws.
  const [reply] = (await once(worker, 'message', signal && { signal })) as [ScanReply];
  if ('error' in reply) throw reply.error;
  return reply;
}
