import { deserialize, serialize } from 'node:v8';
import { LostEngineError, SlimclrError } from '../../errors.js';
import { fromBfloat16, toBfloat16, type Wire } from '../bfloat16.js';
import type { ReplicaGroup } from '../replicaGroup.js';
import type { Mpi } from './mpi.js';
import { RollCall } from './rollCall.js';

/** Elements that are summed at a time, as `ThreadGroup` does: 16 MiB. */
const chunk = 4 * 1024 * 1024;
/** Bytes of a value, its length before it, that travel without another meeting for those that are longer. */
const shortBytes = 1024;
/** Bytes that are broadcast at a time. */
const broadcastBytes = 64 * 1024 * 1024;

/**
 * Replicas as processes that a launcher of MPI has started, on one machine or several: the results of `ThreadGroup`, bit
 * for bit. What is asked for meanwhile waits its turn.
 */
export class MpiGroup implements ReplicaGroup {
  readonly rank: number;
  readonly size: number;
  /** Seconds in which others were waited for, and in which data was on its way. */
  readonly seconds = { waiting: 0, moving: 0 };
  readonly #rollCall: RollCall;
  /** Elements of a chunk that this rank adds up. */
  readonly #share: number;
  readonly #padded: Float32Array;
  readonly #parts: Float32Array;
  readonly #total: Float32Array;
  /** Of the same lengths, where values travel as bfloat16. */
  #halves: readonly Uint16Array[] | undefined;
  readonly #short = new Uint8Array(shortBytes);
  readonly #shortOfAll: Uint8Array;
  #last: Promise<unknown> = Promise.resolve();

  #isMoving = false;

  /** `revive` makes an error of what another rank has told by `fail`, which rank 0 throws where it waits for others. */
  constructor(
    private readonly mpi: Mpi,
    revive: (text: string) => Error,
  ) {
    this.#rollCall = new RollCall(mpi);
    mpi.onWait = () => {
      const told = mpi.rank === 0 ? mpi.failure() : null;
      if (told !== null) throw revive(told);
      this.#rollCall.look();
    };
    this.rank = mpi.rank;
    this.size = mpi.size;
    this.#share = Math.ceil(chunk / mpi.size);
    this.#padded = new Float32Array(this.#share * mpi.size);
    this.#parts = new Float32Array(this.#share * mpi.size);
    this.#total = new Float32Array(this.#share);
    this.#shortOfAll = new Uint8Array(shortBytes * mpi.size);
  }

  gather<T>(value: T): Promise<readonly T[]> {
    return this.#inTurn(async () => {
      const all = await this.#gatherBytes(serialize(value));
      return all.map((bytes, rank) => (rank === this.rank ? value : (deserialize(bytes) as T)));
    });
  }

  /** The text that each rank brings: also of ranks with other versions of Node, which may write values another way. */
  gatherText(text: string): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const all = await this.#gatherBytes(Buffer.from(text));
      return all.map((bytes) => Buffer.from(bytes).toString());
    });
  }

  /** Each rank adds up one part of every chunk, in float64 and in the order of the ranks; then all get all parts. */
  sum(values: Float32Array, wire: Wire = 'float32'): Promise<void> {
    return this.#inTurn(async () => {
      await this.#wait();
      await this.#move(async () => {
        const step = this.#padded.length;
        for (let start = 0; start < values.length; start += step) {
          const own = values.subarray(start, start + step);
          await (wire === 'float32' ? this.#sumChunk(own) : this.#sumRounded(own));
        }
      });
    });
  }

  broadcast(memory: ArrayBufferView): Promise<void> {
    return this.#inTurn(async () => {
      await this.#wait();
      await this.#move(async () => {
        const { buffer, byteLength, byteOffset } = memory;
        for (let start = 0; start < byteLength; start += broadcastBytes) {
          const count = Math.min(broadcastBytes, byteLength - start);
          await this.mpi.broadcast(new Uint8Array(buffer, byteOffset + start, count));
        }
      });
    });
  }

  /** `Infinity`: without a limit, as it is at first. */
  limitWaiting(seconds: number): void {
    this.#rollCall.limit = 1000 * seconds;
  }

  whileBusy<T>(work: () => Promise<T>): Promise<T> {
    return this.#rollCall.whileBusy(work);
  }

  /** Names of ranks for people. */
  set nameOf(nameOf: (rank: number) => string) {
    this.#rollCall.nameOf = nameOf;
  }

  /** Leaves MPI, when all do. */
  end(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#wait();
      this.#rollCall.clear();
      this.mpi.finalize();
    });
  }

  /**
   * Tells rank 0 in a few words why this rank does not go on, and gives it `milliseconds` to end all ranks: it writes the
   * log, and one line is said once.
   */
  async fail(text: string, milliseconds: number): Promise<void> {
    if (this.rank > 0 && !this.#isMoving) await this.mpi.tellFailure(text, milliseconds);
  }

  /** Has the launcher end all ranks, this one too. */
  abort(code: number): void {
    this.mpi.abort(code);
  }

  async #gatherBytes(own: Uint8Array): Promise<readonly Uint8Array[]> {
    const lengths = await this.#exchangeShort(own);
    const isShort = Math.max(...lengths) + 4 <= shortBytes;
    return isShort ? this.#shortValues(lengths) : this.#long(own, lengths);
  }

  async #exchangeShort(own: Uint8Array): Promise<number[]> {
    new DataView(this.#short.buffer).setUint32(0, own.byteLength);
    if (own.byteLength + 4 <= shortBytes) this.#short.set(own, 4);
    const began = performance.now();
    this.#rollCall.begin();
    await this.mpi.gatherShort(this.#short, this.#shortOfAll);
    this.seconds.waiting += (performance.now() - began) / 1000;
    const view = new DataView(this.#shortOfAll.buffer);
    return Array.from({ length: this.size }, (_, rank) => view.getUint32(rank * shortBytes));
  }

  #shortValues(lengths: readonly number[]): Uint8Array[] {
    return lengths.map((length, rank) => {
      const start = rank * shortBytes + 4;
      // A copy: typed arrays that are read from it are views of its memory.
      return this.#shortOfAll.slice(start, start + length);
    });
  }

  async #long(own: Uint8Array, lengths: readonly number[]): Promise<Uint8Array[]> {
    const offsets: number[] = [];
    let total = 0;
    for (const length of lengths) {
      offsets.push(total);
      total += length;
    }
    if (total >= 2 ** 31)
      throw new SlimclrError(`MPI: ${total} bytes of all ranks in one meeting; accepted: 2 GiB`);
    const all = new Uint8Array(total);
    await this.#move(() => this.mpi.gather(own, all, Int32Array.from(lengths), Int32Array.from(offsets)));
    return offsets.map((offset, rank) => all.subarray(offset, offset + lengths[rank]!));
  }

  async #sumChunk(own: Float32Array): Promise<void> {
    const { mpi, size } = this;
    const padded = this.#padded;
    const isWhole = own.length === padded.length;
    const share = Math.ceil(own.length / size);
    if (!isWhole) padded.set(own);
    const values = isWhole ? own : padded;
    // Behind the end there is something or other, which is added up and dropped.
    await mpi.exchange(values, this.#parts, share);
    addUp(this.#parts, this.#total, share, size);
    await mpi.collect(this.#total, values, share);
    if (!isWhole) own.set(padded.subarray(0, own.length));
  }

  /** The same with what travels rounded to bfloat16. */
  async #sumRounded(own: Float32Array): Promise<void> {
    const { mpi, size } = this;
    this.#halves ??= [this.#padded, this.#parts, this.#total].map(({ length }) => new Uint16Array(length));
    const [halves, partHalves, totalHalves] = this.#halves as [Uint16Array, Uint16Array, Uint16Array];
    const share = Math.ceil(own.length / size);
    toBfloat16(own, halves);
    await mpi.exchange(halves, partHalves, share);
    fromBfloat16(partHalves.subarray(0, share * size), this.#parts);
    addUp(this.#parts, this.#total, share, size);
    toBfloat16(this.#total.subarray(0, share), totalHalves);
    await mpi.collect(totalHalves, halves, share);
    fromBfloat16(halves.subarray(0, own.length), own);
  }

  async #wait(): Promise<void> {
    const began = performance.now();
    this.#rollCall.begin();
    await this.mpi.barrier();
    this.seconds.waiting += (performance.now() - began) / 1000;
  }

  async #move(work: () => Promise<void>): Promise<void> {
    const began = performance.now();
    this.#isMoving = true;
    await this.#limited(work());
    this.#isMoving = false;
    this.seconds.moving += (performance.now() - began) / 1000;
  }

  /** Data of all ranks on its way, which does not arrive where one of them has stopped: nobody can tell which. */
  async #limited(moving: Promise<void>): Promise<void> {
    const { limit } = this.#rollCall;
    if (limit === Infinity) return moving;
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      // Rank 0 before the others, so that one of them says it.
      timer = setTimeout(
        () => {
          reject(
            new LostEngineError(
              `data has been on its way between the ranks for ${Math.round(limit / 1000)} s (runtime.stepTimeout): one of them ` +
                'hangs, or the network',
            ),
          );
        },
        limit + Math.min(this.rank, 5) * 2000,
      );
    });
    try {
      await Promise.race([moving, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** MPI takes one call at a time, and collective ones in the same order in every rank. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

/** `total[i]` is the sum over ranks of `parts[rank * share + i]`. */
function addUp(parts: Float32Array, total: Float32Array, share: number, size: number): void {
  for (let i = 0; i < share; i++) {
    // From 0, as threads begin: -0 and -0 make 0.
    let sum = 0;
    for (let rank = 0; rank < size; rank++) sum += parts[rank * share + i]!;
    total[i] = sum;
  }
}
