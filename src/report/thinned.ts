/**
 * A sequence in bounded memory: its items, or, of a sequence longer than `limit`, means of runs of consecutive items,
 * all runs of one length, a power of two, until the last few. The newest item always stands for itself.
 */
export class Thinned<T> {
  #means: T[] = [];
  /** Binary digits of the run that has begun: at index i the mean of 2^i items, or none. */
  #begun: (T | undefined)[] = [];
  #newest: T | undefined;
  /** Items of a run: 2 to this power. */
  #power = 0;
  /** Items so far. */
  length = 0;

  constructor(
    /** Even. */
    private readonly limit: number,
    /** Of two items that weigh the same; they are not used any more. */
    private readonly mean: (a: T, b: T) => T,
  ) {}

  push(item: T): void {
    if (this.#newest !== undefined) this.#add(this.#newest);
    this.#newest = item;
    this.length += 1;
  }

  #add(item: T): void {
    let carry = item;
    for (let i = 0; i < this.#power; i++) {
      const before = this.#begun[i];
      this.#begun[i] = before === undefined ? carry : undefined;
      if (before === undefined) return;
      carry = this.mean(before, carry);
    }
    this.#means.push(carry);
    if (this.#means.length < this.limit) return;
    const means = this.#means;
    this.#means = [];
    for (let i = 0; i < means.length; i += 2) this.#means.push(this.mean(means[i]!, means[i + 1]!));
    this.#power += 1;
  }

  /** In order. */
  items(): T[] {
    const begun = this.#begun.filter((item) => item !== undefined).reverse();
    return [...this.#means, ...begun, ...(this.#newest === undefined ? [] : [this.#newest])];
  }
}

/**
 * The mean of two records, number by number, in the memory of the earlier one. What only one has, or has finite, is
 * as it is there; texts and lists of two lengths are the later one's.
 */
export function meanOfTwo<T extends object>(a: T, b: T): T {
  average(a as Record<string, unknown>, b as Record<string, unknown>);
  return a;
}

function average(a: Record<string, unknown>, b: Record<string, unknown>): void {
  for (const key in b) {
    const [x, y] = [a[key], b[key]];
    if (typeof x === 'number' && typeof y === 'number') {
      if (!Number.isFinite(x)) a[key] = y;
      else if (Number.isFinite(y)) a[key] = x + (y - x) / 2;
    } else if (isTree(x) && isTree(y) && (!Array.isArray(y) || y.length === x['length'])) {
      average(x, y);
    } else if (y !== null) {
      a[key] = y;
    }
  }
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
