import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { SlimclrError } from '../../../src/errors.js';

/** The Python scripts lie beside the TypeScript sources, not beside what is compiled from them. */
const script = fileURLToPath(new URL('../../../../tools/bench/pytorchInfer/serve.py', import.meta.url));

const replies = {
  hello: z.object({ version: z.string() }),
  export: z.union([z.object({ exporter: z.string() }), z.object({ error: z.string() })]),
  open: z.object({ settings: z.array(z.string()) }),
  features: z.object({ features: z.array(z.number()) }),
  time: z.object({ milliseconds: z.array(z.number()) }),
};

export interface PytorchServerOptions {
  readonly python: string;
  /** Safetensors of all weights at full width, and of `images` `[N, 3, S, S]`. */
  readonly weights: string;
  readonly images: string;
  readonly threads: number;
}

/** A Python process that holds ResNet-50 in PyTorch (serve.py) and waits, without computing, between requests. */
export class PytorchServer {
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  private constructor(
    private readonly python: string,
    private readonly process: ChildProcessByStdio<Writable, Readable, Readable>,
  ) {
    this.#lines = createInterface({ input: process.stdout })[Symbol.asyncIterator]();
    process.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    // A process that died is found when its reply is missing.
    process.stdin.on('error', () => {});
    process.on('error', ({ message }) => (this.#errors += message));
  }

  /** Starts it; also gives PyTorch's version. Throws a SlimclrError when `python` is not there or has no PyTorch. */
  static async start(options: PytorchServerOptions): Promise<{ server: PytorchServer; version: string }> {
    const { python, weights, images, threads } = options;
    const child = spawn(python, [script, weights, images], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, OMP_NUM_THREADS: String(threads) },
    });
    const server = new PytorchServer(python, child);
    const { version } = await server.reply(replies.hello);
    return { server, version };
  }

  /** Writes the network of a width with torch.onnx: which exporter did it, or why none could. */
  export(file: string, width: number): Promise<z.infer<typeof replies.export>> {
    return this.ask({ export: file, width }, replies.export);
  }

  /** Builds the network of a width in every setting, on the first images: the names of the settings. */
  async open(width: number, batch: number): Promise<string[]> {
    return (await this.ask({ open: batch, width }, replies.open)).settings;
  }

  /** Features `[batch, C_w]` that a setting computes. */
  async features(setting: string): Promise<number[]> {
    return (await this.ask({ features: setting }, replies.features)).features;
  }

  /** Milliseconds of so many runs, after `warmUp` that are not timed. */
  async time(setting: string, runs: number, warmUp: number): Promise<number[]> {
    return (await this.ask({ time: setting, runs, warm_up: warmUp }, replies.time)).milliseconds;
  }

  /** Ends the process by closing its input. */
  close(): void {
    this.process.stdin.end();
  }

  private ask<T>(request: object, schema: z.ZodType<T>): Promise<T> {
    this.process.stdin.write(`${JSON.stringify(request)}\n`);
    return this.reply(schema);
  }

  private async reply<T>(schema: z.ZodType<T>): Promise<T> {
    const line = await this.#lines.next();
    if (line.done !== true) return schema.parse(JSON.parse(line.value));
    const reason = this.#errors.trimEnd().split('\n').at(-1);
    throw new SlimclrError(`${this.python} ended (${reason}); accepted: a Python with PyTorch and numpy`);
  }
}
