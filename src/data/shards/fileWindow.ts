import { readSync } from 'node:fs';

const smallest = 2 ** 14;
const largest = 2 ** 18;
/** Gaps up to it are read along: a seek costs more. */
const near = 2 ** 14;

/**
 * A file read forwards, synchronously, a piece at a time: as far ahead as it pays. Where what is asked for lies close
 * together, in large pieces; where it is far apart, in small ones.
 */
export class FileWindow {
  #bytes = Buffer.allocUnsafe(largest);
  #start = 0;
  #end = 0;
  #ahead = smallest;

  constructor(
    private readonly file: number,
    readonly size: number,
  ) {}

  /** `length` bytes from `offset` on, fewer at the end of the file; they are valid until the next call. */
  read(offset: number, length: number): Buffer {
    const end = Math.min(offset + length, this.size);
    if (offset >= end) return this.#bytes.subarray(0, 0);
    if (offset < this.#start || end > this.#end) this.#fill(offset, end - offset);
    return this.#bytes.subarray(offset - this.#start, Math.min(end, this.#end) - this.#start);
  }

  #fill(offset: number, length: number): void {
    const isNear = offset >= this.#start && offset <= this.#end + near;
    this.#ahead = isNear ? Math.min(2 * this.#ahead, largest) : smallest;
    const wanted = Math.min(Math.max(length, this.#ahead), this.size - offset);
    if (wanted > this.#bytes.length) this.#bytes = Buffer.allocUnsafe(wanted);
    let count = 0;
    while (count < wanted) {
      const read = readSync(this.file, this.#bytes, count, wanted - count, offset + count);
      if (read === 0) break;
      count += read;
    }
    this.#start = offset;
    this.#end = offset + count;
  }
}
