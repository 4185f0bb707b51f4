import { SlimclrError } from '../errors.js';

/** The bytes of a pickle from the front to the back. Throws a SlimclrError beyond the end. */
export class PickleReader {
  #at = 0;
  readonly #view: DataView;

  constructor(private readonly content: Uint8Array) {
    this.#view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  }

  damaged(): SlimclrError {
    return new SlimclrError(`damaged pickle (at byte ${this.#at} of ${this.content.length})`);
  }

  refused(what: string): SlimclrError {
    return new SlimclrError(
      `the pickle ${what} (at byte ${this.#at}); accepted: tensors, numbers, texts, lists and dictionaries`,
    );
  }

  bytes(length: number): Uint8Array {
    const start = this.#take(length);
    return this.content.subarray(start, start + length);
  }

  /** Little-endian, of 1 or 2 bytes. */
  unsigned(bytes: 1 | 2): number {
    const at = this.#take(bytes);
    return bytes === 1 ? this.#view.getUint8(at) : this.#view.getUint16(at, true);
  }

  /** A length, or a number that counts: at most what a number holds exactly. */
  length(bytes: 4 | 8): number {
    const at = this.#take(bytes);
    return bytes === 4 ? this.#view.getUint32(at, true) : Number(this.#view.getBigUint64(at, true));
  }

  signed32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** Two's complement, little-endian; a number where it holds it exactly. */
  long(length: number): number | bigint {
    const bytes = this.bytes(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    value = BigInt.asIntN(8 * length, value);
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  }

  text(length: number): string {
    return decode(this.bytes(length));
  }

  /** Up to a line feed, which is left out. */
  line(): string {
    const end = this.content.indexOf(0x0a, this.#at);
    if (end === -1) throw this.damaged();
    const line = decode(this.bytes(end - this.#at));
    this.#take(1);
    return line;
  }

  #take(length: number): number {
    const start = this.#at;
    if (length > this.content.length - start) throw this.damaged();
    this.#at += length;
    return start;
  }
}

const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

function decode(bytes: Uint8Array): string {
  return utf8.decode(bytes);
}
