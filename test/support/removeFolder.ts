import { rm } from 'node:fs/promises';

/**
 * Removes the folder of a test with all in it, tried again for a while: a process that was ended, a browser above all,
 * may write one more file while its folder is emptied.
 */
export function removeFolder(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
}
