import { crc32 } from 'node:zlib';
import { fromBufferPromise } from 'yauzl';

export interface Member {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** A zip of uncompressed members, in their order. */
export function writeZip(members: readonly Member[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, bytes } of members) {
    const shared = fields(
      [2, 20],
      [2, 0x800],
      [2, 0],
      [4, 0x21],
      [4, crc32(bytes)],
      [4, bytes.length],
      [4, bytes.length],
      [2, Buffer.byteLength(name)],
      [2, 0],
    );
    const local = [fields([4, 0x04034b50]), shared, Buffer.from(name), Buffer.from(bytes)];
    directory.push(
      fields([4, 0x02014b50], [2, 20]),
      shared,
      fields([2, 0], [2, 0], [2, 0], [4, 0], [4, offset]),
      Buffer.from(name),
    );
    parts.push(...local);
    offset += Buffer.concat(local).length;
  }
  const central = Buffer.concat(directory);
  const count = members.length;
  const end = fields(
    [4, 0x06054b50],
    [2, 0],
    [2, 0],
    [2, count],
    [2, count],
    [4, central.length],
    [4, offset],
    [2, 0],
  );
  return Buffer.concat([...parts, central, end]);
}

/** The members of a zip, in their order. */
export async function readZip(content: Buffer): Promise<Member[]> {
  const zip = await fromBufferPromise(content);
  const members: Member[] = [];
  for await (const entry of zip.eachEntry()) {
    const chunks: Buffer[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
    members.push({ name: entry.fileName, bytes: Buffer.concat(chunks) });
  }
  return members;
}

/** Little-endian numbers by their length in bytes. */
function fields(...numbers: readonly (readonly [length: 2 | 4, value: number])[]): Buffer {
  return Buffer.concat(
    numbers.map(([length, value]) => {
      const bytes = Buffer.alloc(length);
      bytes.writeUIntLE(value, 0, length);
      return bytes;
    }),
  );
}
