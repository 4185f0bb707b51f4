import { constants } from 'node:fs';
import { lstat, open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { SlimclrError } from './errors.js';

/** Whether an error of the system says that a path does not exist. */
export function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** A name that a file of ours gives to another one: it stays in the folder of the file that names it. */
export const plainNameSchema = z
  .string()
  .refine((name) => !/^\.{0,2}$|[/\\:\p{Cc}]/u.test(name), 'the plain name of a file in the same folder');

/** Reads a file whole. Errors and `follow` are those of `openPlainFile`. */
export async function readPlainFile(path: string, options?: { readonly follow?: boolean }): Promise<Buffer> {
  const file = await openPlainFile(path, options);
  return file.readFile().finally(() => file.close());
}

/**
 * Opens a file to read. Throws a SlimclrError, one line, for what is no regular file: a device has no end, a pipe is
 * waited for. `follow`: whether a link may lead to it.
 */
export async function openPlainFile(path: string, { follow = true } = {}): Promise<FileHandle> {
  // Not every system has the flags; there, the test before has to do.
  if (!follow && (await lstat(path)).isSymbolicLink()) throw notPlain(path, 'a link');
  const { O_RDONLY, O_NONBLOCK = 0, O_NOFOLLOW = 0 } = constants as Partial<typeof constants>;
  const file = await open(path, O_RDONLY! | O_NONBLOCK | (follow ? 0 : O_NOFOLLOW));
  if ((await file.stat()).isFile()) return file;
  await file.close();
  throw notPlain(path, 'no file');
}

/** Reads a file that another one in `folder` names. Throws a SlimclrError, one line, for anything but a plain file there. */
export async function readNamedFile(folder: string, name: string): Promise<Buffer> {
  if (!plainNameSchema.safeParse(name).success) {
    throw new SlimclrError(
      `${folder}: file ${JSON.stringify(name)}; accepted: the plain name of a file there`,
    );
  }
  const path = join(folder, name);
  try {
    return await readPlainFile(path, { follow: false });
  } catch (cause) {
    if (cause instanceof SlimclrError) throw cause;
    throw new SlimclrError(`${path} cannot be read (${(cause as Error).message})`, { cause });
  }
}

/** Of a path that is `what` instead of a file. */
export function notPlain(path: string, what: 'a link' | 'no file'): SlimclrError {
  return new SlimclrError(`${path} is ${what}; accepted: a regular file`);
}
