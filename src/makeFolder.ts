import { mkdir } from 'node:fs/promises';

/** Makes a folder and those above it; the first one that was not there, undefined when all were. */
export function makeFolder(folder: string): Promise<string | void> {
  // With `recursive`, a read-only file system is called ENOENT; a plain mkdir says what it is.
  return mkdir(folder, { recursive: true }).catch(() => mkdir(folder));
}
