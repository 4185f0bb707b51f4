import { NumberList } from './numberList.js';

/** Of a slot that nothing is in. */
const free = -1;

/**
 * Different strings, numbered from 0 in the order in which they come: a Map of a million takes 150 MB, this a fifth of
 * that.
 */
export class StringNumbers {
  /** UTF-8, one after the other. */
  #bytes = Buffer.allocUnsafe(2 ** 12);
  readonly #ends = new NumberList(Uint32Array);
  /** A table of numbers in the places that their hashes say, or the next free ones; at most half of it is taken. */
  #slots = new Int32Array(2 ** 8).fill(free);

  get count(): number {
    return this.#ends.length;
  }

  /**
   * The number of a string: a new one, `count` of before, if it has none yet.
   * @throws RangeError beyond 4 GiB of text.
   */
  numberOf(text: string): number {
    const start = this.#start(this.count);
    const end = start + this.#write(text, start);
    const slot = this.#find(this.#hash(start, end), start, end);
    const known = this.#slots[slot]!;
    if (known !== free) return known;
    if (end >= 2 ** 32) throw new RangeError('names of more than 4 GiB');
    const number = this.count;
    this.#slots[slot] = number;
    this.#ends.push(end);
    if (2 * this.count > this.#slots.length) this.#enlarge();
    return number;
  }

  at(number: number): string {
    return this.#bytes.toString('utf8', this.#start(number), this.#ends.at(number));
  }

  #start(number: number): number {
    return number === 0 ? 0 : this.#ends.at(number - 1);
  }

  #write(text: string, at: number): number {
    // UTF-8 has at most three bytes for a unit of UTF-16.
    const most = at + 3 * text.length;
    if (most > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.ceil(1.5 * most));
      this.#bytes.copy(larger, 0, 0, at);
      this.#bytes = larger;
    }
    return this.#bytes.write(text, at);
  }

  /** FNV-1a, mixed: keys mostly differ in their last digits. */
  #hash(start: number, end: number): number {
    let hash = 0x811c9dc5;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ this.#bytes[i]!, 0x01000193);
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
    return (hash ^ (hash >>> 13)) >>> 0;
  }

  /** Where these bytes are in the table, or the free slot for them. */
  #find(hash: number, start: number, end: number): number {
    const mask = this.#slots.length - 1;
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const number = this.#slots[slot]!;
      if (number === free || this.#equals(number, start, end)) return slot;
    }
  }

  #equals(number: number, start: number, end: number): boolean {
    const other = this.#start(number);
    if (this.#ends.at(number) - other !== end - start) return false;
    for (let i = end - 1; i >= start; i--) {
      if (this.#bytes[i] !== this.#bytes[other + i - start]) return false;
    }
    return true;
  }

  #enlarge(): void {
    this.#slots = new Int32Array(2 * this.#slots.length).fill(free);
    const mask = this.#slots.length - 1;
    for (let number = 0; number < this.count; number++) {
      let slot = this.#hash(this.#start(number), this.#ends.at(number)) & mask;
      while (this.#slots[slot] !== free) slot = (slot + 1) & mask;
      this.#slots[slot] = number;
    }
  }
}
