import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SlimclrError } from '../../src/errors.js';
import { FolderLock } from '../../src/training/folderLock.js';

/**
 * Takes the lock of a folder again and again, as soon as it is free, and is alone inside, or fails. Every second time, and
 * at last, it ends without giving the lock back.
 */
const [folder, times] = process.argv.slice(2) as [string, string];
const inside = join(folder, 'inside');

for (let done = 0; done < Number(times);) {
  const lock = await FolderLock.acquire(folder, { command: 'test' }).catch((error: unknown) => {
    if (error instanceof SlimclrError && error.message.includes('in use')) return null;
    throw error;
  });
  if (lock) {
    if (existsSync(inside)) throw new Error('not alone');
    writeFileSync(inside, String(process.pid), { flag: 'wx' });
    await sleep(2);
    rmSync(inside);
    done++;
    if (done < Number(times)) lock.release();
  }
  await sleep(1);
}
process.kill(process.pid, 'SIGKILL');
