import { randomUUID } from 'node:crypto';
import { link, rm, writeFile } from 'node:fs/promises';
import { partialPath } from '../replaceFile.js';

/** Creates a file that is whole from its first moment on; false when there is one. */
export async function createWhole(path: string, text: string): Promise<boolean> {
  const aside = asideOf(path);
  await writeFile(aside, text, { flag: 'wx' });
  try {
    await link(aside, path);
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (!['EPERM', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP', 'EMLINK', 'EINVAL'].includes(code ?? '')) throw error;
    return await createWithoutLinks(path, text);
  } finally {
    await rm(aside, { force: true });
  }
}

/** The same on a file system without hard links, where a reader may see a part. */
async function createWithoutLinks(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/** A temporary name beside a file, another one each time. */
export function asideOf(path: string): string {
  return partialPath(`${path}.${randomUUID().slice(0, 8)}`);
}
