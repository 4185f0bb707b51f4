import { Header, Pax } from 'tar';
import { blockBytes, padded } from './tarEntries.js';

/** Two blocks of zeros. */
export const endMark = Buffer.alloc(2 * blockBytes);

/**
 * A file as it stands in a tar archive: header, content, zeros up to a whole block. The bytes depend on name and content
 * only: time, owner and the like are always the same. ustar, with pax records before it for a name that does not fit.
 */
export function tarFile(name: string, content: Uint8Array): Buffer[] {
  const entry = { path: name, size: content.length, mode: 0o644, uid: 0, gid: 0, uname: '', gname: '' };
  const block = Buffer.alloc(blockBytes);
  const header = new Header({ ...entry, type: 'File', mtime: new Date(0) });
  const needsRecords = header.encode(block, 0);
  return [
    ...(needsRecords ? [new Pax({ path: name, size: content.length }).encode()] : []),
    block,
    Buffer.from(content.buffer, content.byteOffset, content.length),
    Buffer.alloc(padded(content.length) - content.length),
  ];
}
