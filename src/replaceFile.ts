import { open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { isMainThread, threadId } from 'node:worker_threads';
import { makeFolder } from './makeFolder.js';

export interface ReplaceOptions {
  /** Whether the new content must outlast a loss of power from here on. */
  readonly durable?: boolean;
}

/**
 * Writes a file under a temporary name and moves it into place: whoever reads `path` never sees half of it. `content`: what
 * it holds, or what writes it under the name that it is given. What processes that ended while writing left in the folder
 * is removed.
 */
export async function replaceFile(
  path: string,
  content: Uint8Array | string | ((partial: string) => Promise<void>),
  { durable = false }: ReplaceOptions = {},
): Promise<void> {
  const partial = partialPath(path);
  const folder = dirname(path);
  await makeFolder(folder);
  await removePartials(folder);
  // A link of that name would lead elsewhere.
  await rm(partial, { force: true });
  try {
    await (typeof content === 'function' ? content(partial) : writeFile(partial, content));
    if (durable) await sync(partial);
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
  // The rename itself is durable only when the folder is.
  if (durable) await sync(folder);
}

/** `replaceFile` with this content; false when the file has it already, and is left as it is. */
export async function rewriteFile(path: string, content: Uint8Array | string): Promise<boolean> {
  const current = await readFile(path).catch(() => undefined);
  if (current?.equals(Buffer.from(content as Uint8Array))) return false;
  await replaceFile(path, content);
  return true;
}

/** The temporary name of a file while this thread writes it, by which `removePartials` knows its writer. */
export function partialPath(path: string): string {
  const writer = isMainThread ? String(process.pid) : `${process.pid}.${threadId}`;
  return `${path}.partial-${writer}@${hostname()}`;
}

/** Removes the temporary files in a folder whose writers, processes of this machine, have ended. */
export async function removePartials(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names) {
    if (!isAbandoned(name)) continue;
    await rm(join(folder, name), { force: true }).catch(() => {});
  }
}

/** Whether a name is a temporary one (`partialPath`) of a process of this machine that has ended. */
export function isAbandoned(name: string): boolean {
  const writer = /\.partial-(\d+)(?:\.\d+)?(?:@(.+))?$/.exec(name);
  return writer !== null && (writer[2] ?? hostname()) === hostname() && !isRunning(Number(writer[1]));
}

/** Whether a process of this machine has this id. */
export function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0);
  } catch (error) {
    // There is one, of another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function sync(path: string): Promise<void> {
  const file = await open(path, 'r');
  await file.sync().finally(() => file.close());
}
