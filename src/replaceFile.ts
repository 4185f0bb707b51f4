import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';

export interface ReplaceOptions {
  /** Whether the new content must outlast a loss of power from here on. */
  readonly durable?: boolean;
}

/**
 * Writes a file under a temporary name and moves it into place: whoever reads `path` never sees half of it. What
 * processes that ended while writing left in the folder is removed.
 */
export async function replaceFile(
  path: string,
  write: (partial: string) => Promise<void>,
  { durable = false }: ReplaceOptions = {},
): Promise<void> {
  const partial = partialPath(path);
  const folder = dirname(path);
  // With `recursive`, a read-only file system is called ENOENT; a plain mkdir says what it is.
  await mkdir(folder, { recursive: true }).catch(() => mkdir(folder));
  await removePartials(folder);
  // A link of that name would lead elsewhere.
  await rm(partial, { force: true });
  try {
    await write(partial);
    if (durable) await sync(partial);
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
  // The rename itself is durable only when the folder is.
  if (durable) await sync(folder);
}

/** The temporary name of a file while this process writes it, by which `removePartials` knows its writer. */
export function partialPath(path: string): string {
  return `${path}.partial-${process.pid}@${hostname()}`;
}

/** Removes the temporary files in a folder whose writers, processes of this machine, have ended. */
export async function removePartials(folder: string): Promise<void> {
  const names = await readdir(folder).catch((): string[] => []);
  for (const name of names) {
    const writer = /\.partial-(\d+)(?:@(.+))?$/.exec(name);
    if (!writer || (writer[2] ?? hostname()) !== hostname() || isRunning(Number(writer[1]))) continue;
    await rm(join(folder, name), { force: true }).catch(() => {});
  }
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
