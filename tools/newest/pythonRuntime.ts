import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { SlimclrError } from '../../src/errors.js';

/** Files of one run: safetensors but for the model. */
export interface GraphRun {
  readonly model: string;
  readonly feeds: string;
  readonly results: string;
}

/** The Python script lies beside the TypeScript sources, not beside what is compiled from them. */
const script = fileURLToPath(new URL('../../../tools/newest/run_graphs.py', import.meta.url));

/** The onnxruntime of a Python, in a process that runs one graph after the other. */
export class PythonRuntime {
  private constructor(
    /** Of onnxruntime, e.g. `1.32.0`. */
    readonly version: string,
    private readonly child: ChildProcess,
    private readonly lines: AsyncIterator<string, undefined>,
  ) {}

  /** Throws a SlimclrError when `python` is not there or has no onnxruntime. */
  static async open(python: string): Promise<PythonRuntime> {
    const child = spawn(python, [script], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: { ...process.env, ORT_DISABLE_TELEMETRY: '1' },
    });
    const missing = (cause?: unknown) =>
      new SlimclrError(`${python} has no onnxruntime; accepted: a Python after \`pip install onnxruntime\``, {
        cause,
      });
    const failed = new Promise<never>((_, reject) => child.once('error', (error) => reject(missing(error))));
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const first = await Promise.race([lines.next(), failed]);
    if (first.done) throw missing();
    return new PythonRuntime(first.value, child, lines);
  }

  /** Null when it ran, else why not, in one line. */
  async run(run: GraphRun): Promise<string | null> {
    this.child.stdin!.write(`${JSON.stringify(run)}\n`);
    const { value, done } = await this.lines.next();
    if (done) return 'ended the process';
    return value === 'done' ? null : value;
  }

  close(): void {
    this.child.stdin!.end();
  }
}
