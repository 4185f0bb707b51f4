import { BroadcastChannel } from 'node:worker_threads';
import { roundToBfloat16, type Wire } from './bfloat16.js';

/**
 * The replicas of one training, which run the same program on different images and meet where it needs numbers of all.
 * Every one of them makes the same calls in the same order.
 */
export interface ReplicaGroup {
  readonly rank: number;
  readonly size: number;
  /** The value that each replica brings, a structured clone of those of others, in the order of their ranks. */
  gather<T>(value: T): Promise<readonly T[]>;
  /**
   * Puts into `values` the sum over all replicas, the same bits in each. `wire`: `float32`, or to what values are rounded on
   * their way there and their sum on its way back.
   */
  sum(values: Float32Array, wire?: Wire): Promise<void>;
  /** Replicas that come to no meeting for so many seconds are lost from here on: whoever waits for them fails. */
  limitWaiting?(seconds: number): void;
  /** Work of this replica alone, however long, for which the others wait without a limit. */
  whileBusy?<T>(work: () => Promise<T>): Promise<T>;
}

/** A training without others. */
export const alone: ReplicaGroup = {
  rank: 0,
  size: 1,
  gather: (value) => Promise.resolve([value]),
  sum: () => Promise.resolve(),
};

/** What the threads of a group share. */
export interface GroupSetup {
  readonly size: number;
  readonly channel: string;
  /** `size` parts of `chunk` elements that the replicas write, one each, and one for their sum. */
  readonly memory: Float32Array<SharedArrayBuffer>;
}

/** Elements that are summed at a time: 16 MiB of shared memory a replica, a few meetings for millions of parameters. */
const chunk = 4 * 1024 * 1024;

let groups = 0;

/** A group of threads of this process. */
export function groupSetup(size: number): GroupSetup {
  const channel = `slimclr-replicas-${process.pid}-${groups++}`;
  return { size, channel, memory: new Float32Array(new SharedArrayBuffer(4 * (size + 1) * chunk)) };
}

type Message = { readonly rank: number; readonly value: unknown } | { readonly failure: string };

/** A replica in a thread. Each must exist before the first of them calls the others. */
export class ThreadGroup implements ReplicaGroup {
  readonly size: number;
  readonly #channel: BroadcastChannel;
  readonly #parts: readonly Float32Array[];
  readonly #total: Float32Array;
  /** By rank: what has come and is not awaited yet, in order. */
  readonly #arrived: readonly unknown[][];
  #wake: () => void = () => {};
  #failure: Error | null = null;

  constructor(
    { size, channel, memory }: GroupSetup,
    readonly rank: number,
  ) {
    this.size = size;
    this.#parts = Array.from({ length: size }, (_, i) => memory.subarray(i * chunk, (i + 1) * chunk));
    this.#total = memory.subarray(size * chunk);
    this.#arrived = this.#parts.map(() => []);
    this.#channel = new BroadcastChannel(channel);
    this.#channel.onmessage = (event) => {
      const message = (event as { data: Message }).data;
      if ('failure' in message) this.#failure ??= new Error(message.failure);
      else this.#arrived[message.rank]!.push(message.value);
      this.#wake();
    };
  }

  async gather<T>(value: T): Promise<readonly T[]> {
    this.#channel.postMessage({ rank: this.rank, value } satisfies Message);
    this.#arrived[this.rank]!.push(value);
    while (!this.#failure && this.#arrived.some((values) => values.length === 0)) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#failure) throw this.#failure;
    return this.#arrived.map((values) => values.shift() as T);
  }

  /** Each replica adds up one part of every chunk, in float64 and in the order of the ranks. */
  async sum(values: Float32Array, wire: Wire = 'float32'): Promise<void> {
    for (let start = 0; start < values.length; start += chunk) {
      const own = values.subarray(start, start + chunk);
      const part = this.#parts[this.rank]!;
      part.set(own);
      if (wire === 'bfloat16') roundToBfloat16(part.subarray(0, own.length));
      await this.#meet();
      const share = Math.ceil(own.length / this.size);
      const first = Math.min(this.rank * share, own.length);
      const end = Math.min(first + share, own.length);
      for (let i = first; i < end; i++) {
        let sum = 0;
        for (const part of this.#parts) sum += part[i]!;
        this.#total[i] = sum;
      }
      if (wire === 'bfloat16') roundToBfloat16(this.#total.subarray(first, end));
      await this.#meet();
      own.set(this.#total.subarray(0, own.length));
    }
  }

  /** Whoever waits for others, now or later, gets this error, or its message in other threads: one will not come. */
  fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    this.#channel.postMessage({ failure: error.message } satisfies Message);
    this.#wake();
  }

  close(): void {
    this.#channel.close();
  }

  async #meet(): Promise<void> {
    await this.gather(null);
  }
}
