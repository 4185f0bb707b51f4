import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';
import { SlimclrError } from '../../src/errors.js';
import { memoryEnvironment } from '../../src/engines/memoryEnvironment.js';

const readySchema = z.object({ ready: z.string() });
const stepSchema = z.object({
  seconds: z.number().positive(),
  losses: z.array(z.number()),
  /** Bytes between host and engine, where the side counts them. */
  traffic: z.object({ written: z.number(), read: z.number() }).optional(),
});

export type StepReply = z.infer<typeof stepSchema>;

export interface StepCommand {
  readonly command: string;
  readonly args: readonly string[];
  readonly threads: number;
}

/**
 * One side of `bench step`, in a process of its own. It prints `{"ready": name}` when it is built, then waits;
 * for each line on its standard input it does one training step and prints `{"seconds": s, "losses": [...]}`.
 */
export class StepProcess {
  readonly #lines: AsyncIterator<string, undefined>;
  #errors = '';

  private constructor(
    private readonly command: string,
    private readonly process: ChildProcessByStdio<Writable, Readable, Readable>,
  ) {
    this.#lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
    process.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    // A process that died is found when its reply is missing.
    process.stdin.on('error', () => {});
    process.on('error', ({ message }) => (this.#errors += message));
  }

  /** Starts it and waits until it is ready; also gives its name. Both sides get the same threads and malloc. */
  static async start({
    command,
    args,
    threads,
  }: StepCommand): Promise<{ process: StepProcess; name: string }> {
    const child = spawn(command, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...memoryEnvironment, ...process.env, OMP_NUM_THREADS: String(threads) },
    });
    const started = new StepProcess(command, child);
    try {
      const { ready } = await started.#reply(readySchema);
      return { process: started, name: ready };
    } catch (error) {
      started.close();
      throw error;
    }
  }

  /** One training step; its seconds are measured inside the process. */
  async step(): Promise<StepReply> {
    this.process.stdin.write('step\n');
    return this.#reply(stepSchema);
  }

  /** Peak resident memory so far, in bytes. Linux only. */
  peakMemory(): number {
    const status = readFileSync(`/proc/${this.process.pid}/status`, 'utf8');
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)![1]) * 1024;
  }

  close(): void {
    this.process.kill('SIGKILL');
  }

  /** Throws a SlimclrError with the last line of standard error when the process ends or says something else. */
  async #reply<T>(schema: z.ZodType<T>): Promise<T> {
    const line: IteratorResult<string, undefined> = await this.#lines.next();
    if (line.done) {
      const reason = this.#errors.trimEnd().split('\n').at(-1) || 'it ended without a word';
      throw new SlimclrError(`${this.command}: ${reason}`);
    }
    try {
      return schema.parse(JSON.parse(line.value));
    } catch (cause) {
      throw new SlimclrError(`${this.command}: printed "${line.value}"; accepted: one JSON object a step`, {
        cause,
      });
    }
  }
}
