import type { FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { fromFdPromise, type Entry, type ZipFile } from 'yauzl';
import { oneLine, SlimclrError } from '../errors.js';
import { printable } from '../printable.js';

/** More than the list of any checkpoint's tensors takes; larger members hold tensors, which are read when asked for. */
const maxMembers = 100_000;

/**
 * The members of a zip as torch.save writes it: uncompressed, whole, each under a name of its own that leads nowhere.
 * Nothing is written to disk.
 */
export class Archive {
  private constructor(
    private readonly zip: ZipFile,
    private readonly members: ReadonlyMap<string, Entry>,
  ) {}

  /** Throws a SlimclrError, one line, for any other zip. The file stays the caller's to close. */
  static async open(file: FileHandle): Promise<Archive> {
    const { size } = await file.stat();
    const members = new Map<string, Entry>();
    let total = 0;
    try {
      const zip = await fromFdPromise(file.fd, { strictFileNames: true });
      if (zip.entryCount > maxMembers) throw new SlimclrError(`it has ${zip.entryCount} members`);
      for await (const entry of zip.eachEntry()) {
        const name = entry.fileName;
        if (members.has(name)) throw new SlimclrError(`member ${printable(name)} occurs twice`);
        if (entry.compressionMethod !== 0 || entry.isEncrypted()) {
          throw new SlimclrError(`member ${printable(name)} is compressed or encrypted`);
        }
        members.set(name, entry);
        total += entry.uncompressedSize;
      }
      // Members that overlap would take more memory than the file has.
      if (total > size) throw new SlimclrError('its members take more than the file has');
      return new Archive(zip, members);
    } catch (cause) {
      throw refused(cause);
    }
  }

  /** Of the one folder that holds `data.pkl`, without a slash. */
  get root(): string {
    const roots = [...this.members.keys()].flatMap((name) => /^([^/]+)\/data\.pkl$/.exec(name)?.[1] ?? []);
    if (roots.length === 1) return roots[0]!;
    throw refused(new SlimclrError(`it holds ${roots.length === 0 ? 'no' : 'more than one'} data.pkl`));
  }

  has(name: string): boolean {
    return this.members.has(name);
  }

  /** The bytes of a member, in memory of their own. Throws a SlimclrError for one that is missing or damaged. */
  async read(name: string): Promise<Buffer<ArrayBuffer>> {
    const entry = this.members.get(name);
    try {
      if (!entry) throw new SlimclrError(`member ${printable(name)} is missing`);
      const bytes = Buffer.from(new ArrayBuffer(entry.uncompressedSize));
      let at = 0;
      for await (const chunk of await this.zip.openReadStreamPromise(entry)) {
        at += (chunk as Buffer).copy(bytes, at);
      }
      if (crc32(bytes) !== entry.crc32) throw new SlimclrError(`member ${printable(name)} is damaged`);
      return bytes;
    } catch (cause) {
      throw refused(cause);
    }
  }
}

function refused(cause: unknown): SlimclrError {
  const reason = printable(oneLine(cause as Error)).replace(/\.$/, '');
  return new SlimclrError(`not a zip of torch.save, or a part of one (${reason})`, { cause });
}
