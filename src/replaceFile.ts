import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Writes a file under a temporary name and moves it into place: whoever reads `path` never sees half of it. */
export async function replaceFile(path: string, write: (partial: string) => Promise<void>): Promise<void> {
  const partial = `${path}.partial-${process.pid}`;
  await mkdir(dirname(path), { recursive: true });
  try {
    await write(partial);
    await rename(partial, path);
  } finally {
    await rm(partial, { force: true });
  }
}
