import { close, fstat, fstatSync, open, read } from 'node:fs';
import { promisify } from 'node:util';

/** Files that one thread keeps open: a process has many threads, and some systems let it open a thousand files. */
const maxOpen = 64;

/** What a file is known by: other content at the same path is another file. */
export interface FileVersion {
  readonly path: string;
  /** `versionOf` its status. */
  readonly version: string;
}

/** Of a file's status: its size and when it was written to. */
export function versionOf({ size, mtimeNs }: { readonly size: bigint; readonly mtimeNs: bigint }): string {
  return `${size} ${mtimeNs}`;
}

interface OpenFile {
  readonly descriptor: Promise<number>;
  /** Reads under way: it is not closed before they end. */
  readers: number;
}

/** By path and version; the one that was used last at the end. */
const openFiles = new Map<string, OpenFile>();

/**
 * `length` bytes of a file from `offset` on, in memory of their own. The file stays open for the next time; of more than
 * 64 the one that was used longest ago is closed. Rejects with the system's Error, and when the file has changed.
 */
export async function readFilePart(file: FileVersion, offset: number, length: number): Promise<Buffer> {
  const key = `${file.path}\0${file.version}`;
  const known = openFiles.get(key);
  const opened = known ?? { descriptor: openVersion(file), readers: 0 };
  openFiles.delete(key);
  openFiles.set(key, opened);
  opened.readers++;
  try {
    const descriptor = await opened.descriptor;
    const bytes = Buffer.allocUnsafeSlow(length);
    for (let count = 0; count < length;) {
      const { bytesRead } = await readBytes(descriptor, bytes, count, length - count, offset + count);
      if (bytesRead === 0) throw new Error(changed);
      count += bytesRead;
    }
    // Another file may have been written over it; at once, as that takes less than to ask another thread.
    if (versionOf(fstatSync(descriptor, { bigint: true })) !== file.version) throw new Error(changed);
    return bytes;
  } catch (error) {
    // Another try opens it again.
    if (openFiles.get(key) === opened) openFiles.delete(key);
    throw error;
  } finally {
    opened.readers--;
    if (opened.readers === 0 && openFiles.get(key) !== opened) closeFile(opened);
    closeOldest();
  }
}

const readBytes = promisify(read);
const openFile = promisify(open);
const changed = 'the file it is in was changed after it was opened';

async function openVersion({ path, version }: FileVersion): Promise<number> {
  const descriptor = await openFile(path, 'r');
  const status = await promisify(fstat)(descriptor, { bigint: true });
  if (versionOf(status) === version) return descriptor;
  await promisify(close)(descriptor);
  throw new Error(changed);
}

function closeOldest(): void {
  for (const [key, file] of openFiles) {
    if (openFiles.size <= maxOpen) return;
    if (file.readers > 0) continue;
    openFiles.delete(key);
    closeFile(file);
  }
}

function closeFile({ descriptor }: OpenFile): void {
  // What could not be opened is not to be closed; a file that was only read has nothing left to fail.
  descriptor.then((opened) => close(opened, () => {})).catch(() => {});
}
