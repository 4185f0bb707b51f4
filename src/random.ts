/**
 * Counter-based randomness (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011):
 * the stream is a pure function of its key, so what is drawn for (seed, epoch, index, view) depends on
 * nothing else: not on worker count, not on timing, not on what was drawn before.
 */
export class Random {
  readonly #key0: number;
  readonly #key1: number;
  #counter = 0;
  #block = new Uint32Array(4);
  #left = 0;

  /** A stream named by integers, such as (seed, epoch, index, view). */
  constructor(...name: readonly number[]) {
    // Absorb the name word by word through the block function itself; the length separates prefixes.
    let key0 = name.length;
    let key1 = 0x9e3779b9;
    const block = new Uint32Array(4);
    for (const part of name) {
      philox4x32(part >>> 0, Math.floor(part / 2 ** 32) >>> 0, 0, 0, key0, key1, block);
      key0 = block[0]!;
      key1 = block[1]!;
    }
    this.#key0 = key0;
    this.#key1 = key1;
  }

  /** Uniform over the integers 0 .. 2^32 - 1. */
  uint32(): number {
    if (this.#left === 0) {
      philox4x32(this.#counter, 0, 0, 0, this.#key0, this.#key1, this.#block);
      this.#counter += 1;
      this.#left = 4;
    }
    this.#left -= 1;
    return this.#block[3 - this.#left]!;
  }

  /** Uniform in [low, high), 32 bits of resolution. */
  uniform(low = 0, high = 1): number {
    return low + (high - low) * (this.uint32() / 2 ** 32);
  }

  /** Uniform over 0 .. n - 1. */
  integer(n: number): number {
    return Math.floor(this.uniform() * n);
  }

  /** Standard normal (Box and Muller). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log((this.uint32() + 1) / 2 ** 32));
    return radius * Math.cos(2 * Math.PI * this.uniform());
  }

  /** A permutation of 0 .. n - 1 (Fisher and Yates). */
  permutation(n: number): Uint32Array {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.integer(i + 1);
      [order[i], order[j]] = [order[j]!, order[i]!];
    }
    return order;
  }
}

/** One Philox-4x32-10 block: counter (c0..c3) under key (k0, k1) into `out`. */
export function philox4x32(
  c0: number,
  c1: number,
  c2: number,
  c3: number,
  k0: number,
  k1: number,
  out: Uint32Array,
): void {
  for (let round = 0; round < 10; round++) {
    const high0 = mulHigh(0xd2511f53, c0);
    const low0 = Math.imul(0xd2511f53, c0) >>> 0;
    const high1 = mulHigh(0xcd9e8d57, c2);
    const low1 = Math.imul(0xcd9e8d57, c2) >>> 0;
    c0 = (high1 ^ c1 ^ k0) >>> 0;
    c1 = low1;
    c2 = (high0 ^ c3 ^ k1) >>> 0;
    c3 = low0;
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  out[0] = c0;
  out[1] = c1;
  out[2] = c2;
  out[3] = c3;
}

/** High 32 bits of the 64-bit product of two unsigned 32-bit integers. */
function mulHigh(a: number, b: number): number {
  const a0 = a & 0xffff;
  const a1 = a >>> 16;
  const b0 = b & 0xffff;
  const b1 = b >>> 16;
  const mid = a1 * b0 + ((a0 * b0) >>> 16);
  const mid2 = a0 * b1 + (mid & 0xffff);
  return (a1 * b1 + Math.floor(mid / 65536) + Math.floor(mid2 / 65536)) >>> 0;
}
