import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { reasonOf, SlimclrError, UsageError } from '../../errors.js';
import { isAbandoned, partialPath } from '../../replaceFile.js';

/** Begins the name of the folder in an output that exists where its files wait until all are written. */
const waiting = '.shards';

/**
 * Whether the folder exists, and is empty but for what processes that were killed have left.
 * @throws UsageError when it holds something, or is none.
 */
export async function existsEmpty(output: string): Promise<boolean> {
  let names: string[];
  try {
    names = await readdir(resolve(output));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new UsageError(`cannot write shards to ${output}: ${reasonOf(error)}`, { cause: error });
  }
  const isLeft = (name: string) => name.startsWith(`${waiting}.partial-`);
  if (names.every(isLeft)) return true;
  throw new UsageError(`${output} holds files; accepted: a folder that is empty or does not exist yet`);
}

/**
 * Calls `write` with a folder, and gives `output`, which is empty or does not exist, what is in it when all is written:
 * the folder itself takes its name, or, as one that exists may be a volume of its own, its files move there. Whatever
 * goes wrong, nothing is left.
 * @throws what `existsEmpty` does, and a SlimclrError for what the system refuses.
 */
export async function fillFolder<T>(output: string, write: (folder: string) => Promise<T>): Promise<T> {
  const folder = resolve(output);
  const exists = await existsEmpty(output);
  const beside = exists ? join(folder, waiting) : folder;
  const partial = partialPath(beside);
  try {
    await mkdir(dirname(beside), { recursive: true });
    await removeAbandoned(beside);
    await mkdir(partial);
    const written = await write(partial);
    if (!exists) await rename(partial, folder);
    else {
      await existsEmpty(output);
      for (const name of await readdir(partial)) await rename(join(partial, name), join(folder, name));
    }
    return written;
  } catch (cause) {
    if (typeof (cause as NodeJS.ErrnoException).syscall !== 'string') throw cause;
    throw new SlimclrError(`cannot write shards to ${output}: ${reasonOf(cause)}`, { cause });
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}

/** Removes what writing here left behind where the process was killed. */
async function removeAbandoned(path: string): Promise<void> {
  const parent = dirname(path);
  for (const name of await readdir(parent)) {
    if (!name.startsWith(`${basename(path)}.partial-`) || !isAbandoned(name)) continue;
    await rm(join(parent, name), { recursive: true, force: true });
  }
}
