import type { ReadAt } from '../imageHeader.js';
import { paxRecords, readTarHeader, text } from './tarHeader.js';

/** Bytes of a block: headers are one, data fill whole ones. */
export const blockBytes = 512;

/** A file in an archive. */
export interface TarEntry {
  readonly name: string;
  /** Where its data begin, in bytes; a multiple of 512. */
  readonly offset: number;
  /** Bytes. */
  readonly size: number;
  /** `sparse`: with holes, so that what is stored is not its content. `link`: to another file, nothing is stored. */
  readonly kind: 'file' | 'sparse' | 'link';
}

/** Type flags (POSIX.1-2017, pax; GNU tar's manual, "Basic Tar Format"). */
const regular: ReadonlySet<string> = new Set(['\0', '0', '7', 'S']);
const links: ReadonlySet<string> = new Set(['1', '2']);
/** Links, devices, folders and pipes: no data follow, whatever the size says. */
const withoutData: ReadonlySet<string> = new Set(['1', '2', '3', '4', '5', '6']);
/** Longer ones of names and attributes are taken for damage. */
const maxRecordBytes = 2 ** 20;
/** Behind an archive's end as far as this is looked for more: writers fill up blocks of many sizes with zeros. */
const maxPadding = 2 ** 20;

/** What headers before the one of a file say of it. */
interface Described {
  name?: string;
  size?: number;
  isSparse?: boolean;
}

/**
 * The regular files of a tar archive, and links, in its order: ustar, GNU tar's long names and sparse files, pax records.
 * Python's `tarfile` gives the same names, offsets and sizes. Ends where the archive does, and returns why when that is
 * not where the file has to end; null when all is well. Entries may reach beyond the end of the file.
 */
export function* tarEntries(read: ReadAt, size: number): Generator<TarEntry, string | null, undefined> {
  let described: Described = {};
  for (let at = 0; ;) {
    const block = read(at, blockBytes);
    if (size === 0) return 'it is empty';
    if (block.length === 0) return 'it ends without an end mark';
    if (block.length < blockBytes) return `it ends within a header, at byte ${size}`;
    const header = readTarHeader(block);
    if (header === null) return contentBehind(read, at, size);
    if (header === undefined) return `no tar header at byte ${at}`;
    const { type } = header;
    const data = at + blockBytes;

    if (type === 'x' || type === 'X' || type === 'g' || type === 'L' || type === 'K') {
      // What follows belongs to the next header, not to this one.
      const content = header.size <= maxRecordBytes ? read(data, header.size) : null;
      if (content?.length !== header.size) return `the names at byte ${data} are cut off`;
      // As Python's, the first of several counts. Global records ('g') say nothing that matters here.
      if (type === 'L') described = { name: text(content), ...described };
      else if (type === 'x' || type === 'X') described = { ...describedBy(content), ...described };
      at = data + padded(header.size);
      continue;
    }

    const name = described.name ?? header.name;
    const length = described.size ?? header.size;
    const isFolder = type === '\0' && name.endsWith('/');
    const isRegular = regular.has(type) && !isFolder;
    const hasData = !withoutData.has(type) && !isFolder;
    if (hasData && Number.isNaN(length)) return `no tar header at byte ${at}`;
    let start = data;
    // A sparse file of GNU tar: maps that do not fit into the header follow it, each with a mark of another.
    for (let mark = block[482]!; type === 'S' && mark !== 0; start += blockBytes) {
      mark = read(start, blockBytes)[504] ?? 0;
    }
    if (links.has(type)) yield { name, offset: data, size: 0, kind: 'link' };
    if (isRegular) {
      const kind = type === 'S' || described.isSparse ? 'sparse' : 'file';
      yield { name, offset: start, size: length, kind };
    }
    at = start + (hasData ? padded(length) : 0);
    described = {};
    if (at > size) return `it ends within ${name}, at byte ${size}`;
  }
}

function describedBy(content: Buffer): Described {
  const records = paxRecords(content);
  const described: Described = {};
  // Of a sparse file the path is one that readers which do not know it are to extract it to.
  const name = records.get('GNU.sparse.name') ?? records.get('path');
  const size = records.get('size');
  if (name !== undefined) described.name = name;
  if (size !== undefined && /^\d+$/.test(size)) described.size = Number(size);
  if ([...records.keys()].some((key) => key.startsWith('GNU.sparse.'))) described.isSparse = true;
  return described;
}

/** Of what stands behind an archive's end: that it is not read; null for zeros. */
function contentBehind(read: ReadAt, end: number, size: number): string | null {
  for (let at = end; at < Math.min(size, end + maxPadding); at += blockBytes) {
    const block = read(at, blockBytes);
    if (block.some((byte) => byte !== 0)) return `what follows its end mark, from byte ${at} on, is not read`;
  }
  return null;
}

/** Bytes of the blocks that hold so many. */
export function padded(size: number): number {
  return Math.ceil(size / blockBytes) * blockBytes;
}
