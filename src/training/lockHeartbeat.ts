/** Worker thread of `FolderLock`: touches the lock as long as it is there, and tells when another's has taken its place. */
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { createWhole } from './createWhole.js';

const { path, text, beat } = workerData as { path: string; text: string; beat: number };

const timer = setInterval(() => {
  try {
    const file = openSync(path, 'r+');
    try {
      const holder = readFileSync(file, 'utf8');
      if (holder === text) {
        // Written, not only touched: the time is then that of the file system, whatever the clock here says. A lock
        // that has come in its place meanwhile is another file.
        writeSync(file, text.slice(0, 1), 0);
      } else {
        clearInterval(timer);
        parentPort!.postMessage(holder);
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    // Removed by hand: here it is again, unless another was faster. A file system that is away may come back, and the
    // next beat sees why it could not be.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') createWhole(path, text).catch(() => {});
  }
}, beat);
