import { SlimclrError } from '../../errors.js';
import { endingWithParent } from './endWithParent.js';
import type { MpiLibrary } from './library.js';
import type { Post, Word } from './rollCall.js';

/** Of requests and statuses of every interface: what a pointer takes, and 8 integers. */
const [requestBytes, statusBytes] = [8, 64];

/** Tags of messages between two ranks. */
const failureTag = 7;
const wordTags: Readonly<Record<Word, number>> = { late: 8, call: 9, here: 10, busy: 11 };
/** Longest such message in bytes. */
const failureBytes = 4096;

/** Milliseconds between two looks at what is waited for: first a turn of the event loop each, later up to `longest`. */
const [turns, longest] = [50, 10];

type Call = (...args: unknown[]) => number;
type Memory = ArrayBufferView;

/**
 * The calls of MPI that training makes, in MPI_COMM_WORLD. One at a time: those that others are waited for in return at
 * once and are asked again now and then, so that waiting takes no processor; those that move data run in a thread
 * of libuv's pool. Memory that is handed in is to stay as it is until the promise settles.
 */
export class Mpi implements Post {
  readonly rank: number;
  readonly size: number;
  readonly #f: ReturnType<typeof bind>;
  /** Called again and again while others are waited for; what it throws ends the waiting. */
  onWait: () => void = () => {};

  /**
   * Joins the others that the launcher has started; waiting for them ends with the process `parent`. Throws a SlimclrError
   * where the library finds none of them.
   */
  constructor(
    readonly library: MpiLibrary,
    private readonly parent: number,
  ) {
    const { abi } = library;
    this.#f = bind(library);
    const provided: [number] = [0];
    this.#check(endingWithParent(parent, () => this.#f.init(0n, 0n, abi.serialized, provided)));
    if (provided[0] < abi.serialized) {
      throw new SlimclrError(
        `${library.path} (${library.version}) was built without threads; accepted: one with MPI_THREAD_SERIALIZED`,
      );
    }
    this.#check(this.#f.setErrhandler(abi.world, abi.errorsReturn));
    const out: [number] = [0];
    this.#check(this.#f.rank(abi.world, out));
    this.rank = out[0];
    this.#check(this.#f.size(abi.world, out));
    this.size = out[0];
  }

  /** Until all ranks have called it. */
  barrier(): Promise<void> {
    return this.#until((request) => this.#f.ibarrier(this.library.abi.world, request));
  }

  /** Bytes of every rank, as many of each, in the order of the ranks. Waits for the others. */
  gatherShort(own: Memory, all: Memory): Promise<void> {
    const { byte, world } = this.library.abi;
    const count = own.byteLength;
    return this.#until((request) => this.#f.iallgather(own, count, byte, all, count, byte, world, request));
  }

  /** Bytes of every rank, `counts` of each, at `offsets`. When all are there. */
  async gather(own: Memory, all: Memory, counts: Int32Array, offsets: Int32Array): Promise<void> {
    const { byte, world } = this.library.abi;
    this.#check(await this.#f.allgatherv(own, own.byteLength, byte, all, counts, offsets, byte, world));
  }

  /** Of `values` a part of `count` for each rank; `parts`: what each has for this one. When all are there. */
  async exchange<T extends Float32Array | Uint16Array>(values: T, parts: T, count: number): Promise<void> {
    const { world } = this.library.abi;
    const [length, type] = this.#sized(values, count);
    this.#check(await this.#f.alltoall(values, length, type, parts, length, type, world));
  }

  /** `count` values of every rank, in the order of the ranks. When all are there. */
  async collect<T extends Float32Array | Uint16Array>(own: T, all: T, count: number): Promise<void> {
    const { world } = this.library.abi;
    const [length, type] = this.#sized(own, count);
    this.#check(await this.#f.allgather(own, length, type, all, length, type, world));
  }

  /** The bytes that rank 0 has, in `memory` of all. When all are there. */
  async broadcast(memory: Memory): Promise<void> {
    const { byte, world } = this.library.abi;
    this.#check(await this.#f.bcast(memory, memory.byteLength, byte, 0, world));
  }

  /** Tells rank 0 of a failure, which learns of it when it waits for others. Goes on until `milliseconds` are over. */
  async tellFailure(text: string, milliseconds: number): Promise<void> {
    const { byte, world } = this.library.abi;
    const message = Buffer.from(text).subarray(0, failureBytes);
    const request = Buffer.alloc(requestBytes);
    const end = performance.now() + milliseconds;
    this.#check(this.#f.isend(message, message.length, byte, 0, failureTag, world, request));
    // Sending takes calls: a connection may have to be made.
    const flag: [number] = [0];
    while (performance.now() < end) {
      this.#check(this.#f.test(request, flag, this.library.abi.statusIgnore));
      await new Promise((resolve) => setTimeout(resolve, longest));
    }
  }

  /** What a rank has told; null where none has. */
  failure(): string | null {
    const { byte, world, anySource, statusIgnore } = this.library.abi;
    const flag: [number] = [0];
    this.#check(this.#f.iprobe(anySource, failureTag, world, flag, this.#status));
    if (flag[0] === 0) return null;
    const text = Buffer.alloc(failureBytes);
    this.#check(this.#f.recv(text, failureBytes, byte, anySource, failureTag, world, statusIgnore));
    const end = text.indexOf(0);
    return text.toString('utf8', 0, end < 0 ? undefined : end);
  }

  /** Sends a word, as far as MPI is called. */
  tell(to: number, word: Word, meeting: number): void {
    const { byte, statusIgnore, world } = this.library.abi;
    const flag: [number] = [0];
    this.#sent = this.#sent.filter(({ request }) => {
      this.#check(this.#f.test(request, flag, statusIgnore));
      return flag[0] === 0;
    });
    const values = Float64Array.of(meeting, this.rank);
    const request = Buffer.alloc(requestBytes);
    this.#check(this.#f.isend(values, values.byteLength, byte, to, wordTags[word], world, request));
    this.#sent.push({ values, request });
  }

  told(word: Word): { readonly meeting: number; readonly from: number } | null {
    const { anySource, byte, statusIgnore, world } = this.library.abi;
    const tag = wordTags[word];
    const flag: [number] = [0];
    this.#check(this.#f.iprobe(anySource, tag, world, flag, this.#status));
    if (flag[0] === 0) return null;
    const values = new Float64Array(2);
    this.#check(this.#f.recv(values, values.byteLength, byte, anySource, tag, world, statusIgnore));
    return { meeting: values[0]!, from: values[1]! };
  }

  /** Leaves the others, who leave as well. No call may follow. */
  finalize(): void {
    this.#check(endingWithParent(this.parent, () => this.#f.finalize()));
  }

  /** Has the launcher end all ranks, this one too, with an exit code. */
  abort(code: number): void {
    this.#f.abort(this.library.abi.world, code);
  }

  readonly #status = Buffer.alloc(statusBytes);
  /** Words on their way, whose memory stays as it is. */
  #sent: { readonly values: Float64Array; readonly request: Buffer }[] = [];

  /** How many elements of which type of MPI's some values are. */
  #sized(values: Float32Array | Uint16Array, count: number) {
    const { byte, float } = this.library.abi;
    return values instanceof Float32Array
      ? ([count, float] as const)
      : ([count * values.BYTES_PER_ELEMENT, byte] as const);
  }

  async #until(start: (request: Buffer) => number): Promise<void> {
    const request = Buffer.alloc(requestBytes);
    const flag: [number] = [0];
    this.#check(start(request));
    const began = performance.now();
    for (let i = 0; ; i++) {
      this.#check(this.#f.test(request, flag, this.library.abi.statusIgnore));
      if (flag[0] !== 0) return;
      this.onWait();
      if (i < turns) await new Promise((resolve) => setImmediate(resolve));
      else {
        const pause = Math.min(longest, 1 + (performance.now() - began) / 1000);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  }

  #check(code: number): void {
    if (code === 0) return;
    const text = Buffer.alloc(8192);
    const length: [number] = [0];
    this.#f.errorString(code, text, length);
    throw new SlimclrError(`MPI: ${text.toString('latin1', 0, length[0])} (${this.library.version})`);
  }
}

function bind({ abi, handle }: MpiLibrary) {
  const h = abi.handle;
  const f = (declaration: string) => handle.func(`int MPI_${declaration}`);
  const now = (declaration: string): Call => f(declaration);
  const inPool = (declaration: string) => {
    const call = f(declaration).async as (...args: unknown[]) => void;
    return (...args: unknown[]) =>
      new Promise<number>((resolve, reject) => {
        call(...args, (error: Error | null, code: number) => {
          // Until here its thread reads and writes them, which koffi does not keep alive.
          args.length = 0;
          if (error) reject(error);
          else resolve(code);
        });
      });
  };
  return {
    init: now('Init_thread(void *, void *, int, _Out_ int *)'),
    finalize: now('Finalize()'),
    abort: now(`Abort(${h}, int)`),
    rank: now(`Comm_rank(${h}, _Out_ int *)`),
    size: now(`Comm_size(${h}, _Out_ int *)`),
    setErrhandler: now(`Comm_set_errhandler(${h}, ${h})`),
    errorString: now('Error_string(int, void *, _Out_ int *)'),
    test: now('Test(void *, _Out_ int *, void *)'),
    iprobe: now(`Iprobe(int, int, ${h}, _Out_ int *, void *)`),
    isend: now(`Isend(void *, int, ${h}, int, int, ${h}, void *)`),
    recv: now(`Recv(void *, int, ${h}, int, int, ${h}, void *)`),
    ibarrier: now(`Ibarrier(${h}, void *)`),
    iallgather: now(`Iallgather(void *, int, ${h}, void *, int, ${h}, ${h}, void *)`),
    allgather: inPool(`Allgather(void *, int, ${h}, void *, int, ${h}, ${h})`),
    allgatherv: inPool(`Allgatherv(void *, int, ${h}, void *, void *, void *, ${h}, ${h})`),
    alltoall: inPool(`Alltoall(void *, int, ${h}, void *, int, ${h}, ${h})`),
    bcast: inPool(`Bcast(void *, int, ${h}, int, ${h})`),
  };
}
