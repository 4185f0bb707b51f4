type Numbers = Int8Array | Int32Array | Uint32Array;

/** Numbers that come one by one, in typed memory: an array of a million takes 8 MB, and twice that while it grows. */
export class NumberList<T extends Numbers> {
  #numbers: T;
  #length = 0;

  /** @param type what they are kept as, which has to fit. */
  constructor(private readonly type: new (length: number) => T) {
    this.#numbers = new type(64);
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#numbers.length) {
      const larger = new this.type(Math.ceil(1.5 * this.#length));
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    this.#numbers[this.#length++] = value;
  }

  /** The number at `index`, which is there. */
  at(index: number): number {
    return this.#numbers[index]!;
  }

  set(index: number, value: number): void {
    this.#numbers[index] = value;
  }

  /** A view of all: of no use after the next `push`. */
  view(): T {
    return this.#numbers.subarray(0, this.#length) as T;
  }
}
