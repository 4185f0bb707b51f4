import { spawn, type ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { LostEngineError, reasonOf, SlimclrError } from '../../errors.js';
import { watchKills } from '../../killed.js';
import { printable } from '../../printable.js';
import { memoryEnvironment } from '../memoryEnvironment.js';

/** In the package: the path holds from dist/src/engines/python, where the compiled file lies. */
const script = fileURLToPath(new URL('../../../../src/engines/python/worker.py', import.meta.url));

/** What a worker answers; `payload` holds the bytes that came with it. */
export interface Answer {
  readonly error?: string;
  /** The exception's class in Python. */
  readonly type?: string;
  readonly payload: Uint8Array;
  readonly [key: string]: unknown;
}

interface Waiting {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: SlimclrError) => void;
  /** Where the payload goes; undefined: to memory of its own. */
  readonly target: Uint8Array | undefined;
}

/** A header that is longer is not one of a worker. Bytes. */
const longestHeader = 2 ** 26;
/** What is kept of the end of what a worker writes to stderr. Characters. */
const keptErrors = 4096;
/** Milliseconds that a worker has to import onnxruntime and to load the libraries of CUDA. */
const openPatience = 120_000;
/** Milliseconds that a worker has to end by itself. */
const patience = 10_000;

/**
 * A Python process that runs worker.py: requests are sent at once and answered in their order. It ends with this
 * process, however that ends. What it prints is not shown; the last line of it stands in the message when it ends.
 */
export class WorkerProcess {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #waiting: Waiting[] = [];
  readonly #ended: Promise<void>;
  #errors = '';
  #answers = 0;
  #failure: SlimclrError | undefined;
  #closing = false;

  constructor(private readonly python: string) {
    const killer = watchKills();
    this.#child = spawn(python, [script], {
      env: {
        ...memoryEnvironment,
        ...process.env,
        ORT_DISABLE_TELEMETRY: '1',
        PYTHONUTF8: '1',
      },
      stdio: ['pipe', 'pipe', 'pipe'],
      windowsHide: true,
    });
    const { stdin, stdout, stderr } = this.#child;
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#errors = (this.#errors + text).slice(-keptErrors);
    });
    // That the worker has gone, `close` tells, after the last that it wrote.
    stdin.on('error', () => {});
    const frames = this.#frames();
    let part = frames.next().value;
    let filled = 0;
    stdout.on('data', (chunk: Uint8Array) => {
      try {
        for (let at = 0; at < chunk.length;) {
          const count = Math.min(part.length - filled, chunk.length - at);
          part.set(chunk.subarray(at, at + count), filled);
          at += count;
          filled += count;
          if (filled === part.length) [part, filled] = [frames.next().value, 0];
        }
      } catch (error) {
        this.#fail(this.#strange(error));
      }
    });
    this.#ended = new Promise((resolve) => {
      this.#child.once('error', (error: NodeJS.ErrnoException) => {
        const what = error.code === 'ENOENT' ? 'is not found' : `cannot be run (${reasonOf(error)})`;
        this.#fail(new SlimclrError(`${this.name} ${what}; ${accepted}`, { cause: error }));
        resolve();
      });
      this.#child.once('close', (code, signal) => {
        const how = signal === null ? `ended with code ${code}` : `was ended by ${signal}`;
        const last = this.#errors.trim().split('\n').at(-1)!.trim();
        const said = signal === 'SIGKILL' ? killer() : printable(last);
        const why = said === '' ? '' : ` (${said})`;
        const answered = this.#answers > 0;
        this.#fail(
          answered
            ? new LostEngineError(`the worker of ${this.name} ${how}${why}`)
            : new SlimclrError(`${this.name} ${how}${why} and runs no worker; ${accepted}`),
        );
        resolve();
      });
    });
  }

  /** For messages. */
  get name(): string {
    return `runtime.python "${printable(this.python)}"`;
  }

  /**
   * Sends a request. `payload` is read until the answer has come. Rejects with a SlimclrError when the worker has gone
   * or goes meanwhile.
   */
  call(
    request: Readonly<Record<string, unknown>>,
    payload?: ArrayBufferView,
    target?: Uint8Array,
  ): Promise<Answer> {
    if (this.#failure) return Promise.reject(this.#failure);
    const bytes = payload?.byteLength ?? 0;
    const head = Buffer.from(JSON.stringify({ ...request, bytes }));
    const size = Buffer.alloc(4);
    size.writeUInt32LE(head.length);
    const { stdin } = this.#child;
    stdin.cork();
    stdin.write(Buffer.concat([size, head]));
    if (payload && bytes > 0) stdin.write(Buffer.from(payload.buffer, payload.byteOffset, bytes));
    stdin.uncork();
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject, target }));
  }

  /** The first request. Rejects also where what runs is no worker. */
  async open(request: Readonly<Record<string, unknown>>): Promise<Answer> {
    const timer = setTimeout(
      () => this.abandon(this.#strange(new Error(`nothing within ${openPatience / 1000} s`))),
      openPatience,
    );
    try {
      const answer = await this.call({ op: 'open', ...request });
      if (answer.error !== undefined || typeof answer.version === 'string') return answer;
      throw this.#strange(new Error('no version'));
    } catch (error) {
      await this.close();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the worker now: whatever waits or comes later is refused with `reason`. */
  abandon(reason: SlimclrError): void {
    this.#fail(reason);
  }

  /** Ends the worker after all that it was asked. */
  async close(): Promise<void> {
    this.#closing = true;
    this.#child.stdin.end();
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), patience);
    await this.#ended;
    clearTimeout(timer);
  }

  /** Gives one part of the stream after the other to be filled. */
  *#frames(): Generator<Uint8Array, never> {
    for (;;) {
      const size = new DataView(new ArrayBuffer(4));
      yield new Uint8Array(size.buffer);
      const length = size.getUint32(0, true);
      if (length > longestHeader) throw new Error(`a header of ${length} bytes`);
      const head = Buffer.alloc(length);
      yield head;
      const { bytes, ...answer } = JSON.parse(head.toString()) as { bytes: number };
      const waiting = this.#waiting[0];
      if (!waiting || !Number.isSafeInteger(bytes)) throw new Error('an answer without a question');
      const payload = bytes === waiting.target?.length ? waiting.target : new Uint8Array(bytes);
      if (bytes > 0) yield payload;
      this.#waiting.shift();
      this.#answers++;
      waiting.resolve({ ...answer, payload });
    }
  }

  #strange(cause: unknown): SlimclrError {
    return new SlimclrError(
      `${this.name} does not answer as worker.py does (${reasonOf(cause)}); ${accepted}`,
      {
        cause,
      },
    );
  }

  #fail(reason: SlimclrError): void {
    this.#failure ??= this.#closing ? new SlimclrError(`the worker of ${this.name} is closed`) : reason;
    this.#child.kill('SIGKILL');
    for (const { reject } of this.#waiting.splice(0)) reject(this.#failure);
  }
}

const accepted = 'accepted: the name or path of a Python interpreter (3.8 or later) that has onnxruntime';
