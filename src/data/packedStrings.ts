import { NumberList } from './numberList.js';

/** Strings in two blocks of memory that every thread reads without a copy: a million of them are no objects. */
export interface PackedStrings {
  /** UTF-8, one after the other, backed by a SharedArrayBuffer. */
  readonly bytes: Uint8Array;
  /** [n + 1], where each begins, and the end; backed by a SharedArrayBuffer. */
  readonly offsets: Uint32Array;
}

/** @throws RangeError beyond 4 GiB of text. */
export function packStrings(strings: readonly string[]): PackedStrings {
  const packer = new StringPacker();
  for (const text of strings) packer.push(text);
  return packer.finish();
}

/** Makes packed strings one by one. */
export class StringPacker {
  #bytes = Buffer.allocUnsafe(2 ** 12);
  #length = 0;
  readonly #ends = new NumberList(Uint32Array);

  get count(): number {
    return this.#ends.length;
  }

  /** @throws RangeError beyond 4 GiB of text. */
  push(text: string): void {
    // UTF-8 has at most three bytes for a unit of UTF-16.
    const most = this.#length + 3 * text.length;
    if (most > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.ceil(1.5 * most));
      this.#bytes.copy(larger, 0, 0, this.#length);
      this.#bytes = larger;
    }
    this.#length += this.#bytes.write(text, this.#length);
    if (this.#length >= 2 ** 32) throw new RangeError('names of more than 4 GiB');
    this.#ends.push(this.#length);
  }

  finish(): PackedStrings {
    const bytes = sharedBytes(this.#length);
    bytes.set(this.#bytes.subarray(0, this.#length));
    const offsets = sharedUint32(this.#ends.length + 1);
    offsets.set(this.#ends.view(), 1);
    return { bytes, offsets };
  }
}

export function stringCount({ offsets }: PackedStrings): number {
  return offsets.length - 1;
}

export function stringAt({ bytes, offsets }: PackedStrings, index: number): string {
  return bufferOf(bytes).toString('utf8', offsets[index], offsets[index + 1]);
}

/** The strings of all parts, one part after the other. */
export function joinStrings(parts: readonly PackedStrings[]): PackedStrings {
  if (parts.length === 1) return parts[0]!;
  const length = parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
  if (length >= 2 ** 32) throw new RangeError('names of more than 4 GiB');
  const bytes = sharedBytes(length);
  const offsets = sharedUint32(parts.reduce((sum, part) => sum + stringCount(part), 1));
  let count = 0;
  let end = 0;
  for (const part of parts) {
    bytes.set(part.bytes, end);
    for (let i = 1; i < part.offsets.length; i++) offsets[++count] = end + part.offsets[i]!;
    end += part.bytes.length;
  }
  return { bytes, offsets };
}

export function sharedBytes(length: number): Uint8Array<SharedArrayBuffer> {
  return new Uint8Array(new SharedArrayBuffer(length));
}

export function sharedUint32(length: number): Uint32Array<SharedArrayBuffer> {
  return new Uint32Array(new SharedArrayBuffer(4 * length));
}

export function sharedInt32(length: number): Int32Array<SharedArrayBuffer> {
  return new Int32Array(new SharedArrayBuffer(4 * length));
}

/** The same bytes as a Buffer, no copy. */
function bufferOf({ buffer, byteOffset, length }: Uint8Array): Buffer {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, length);
}
