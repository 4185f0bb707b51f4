import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { SlimclrError } from '../../../src/errors.js';
import type { ChannelStatistics } from '../../../src/data/transform.js';

/** The Python scripts lie beside the TypeScript sources, not beside what is compiled from them. */
const script = fileURLToPath(new URL('../../../../tools/bench/pillow/augment.py', import.meta.url));

/** What augment.py is started with. */
export interface RivalSettings {
  /** Paths of JPEG files, or null for the images in `packed`. */
  readonly files: readonly string[] | null;
  /** File of RGB images of `size` x `size`, [N, S, S, 3] bytes. */
  readonly packed: string | null;
  /** How often an epoch visits each image. */
  readonly repeat: number;
  /** Side of a view in pixels. */
  readonly size: number;
  readonly blur: 'none' | 'torchvision' | 'pillow';
  readonly mean: ChannelStatistics;
  readonly std: ChannelStatistics;
  readonly batchSize: number;
  readonly workers: number;
  /** Batches of an epoch that are not timed: those that may have been prepared before. */
  readonly skip: number;
}

/** Of one epoch, without the batches to skip. */
export interface RivalTimes {
  readonly seconds: number;
  /** Of all processes together. */
  readonly processorSeconds: number;
}

const reply = z.tuple([z.number(), z.number()]);

/** A Python process that augments with torchvision on PIL images, one epoch at a time. */
export class PillowRival {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  #errors = '';

  constructor(
    private readonly python: string,
    settings: RivalSettings,
  ) {
    this.#process = spawn(python, [script, JSON.stringify(settings)], { stdio: ['pipe', 'pipe', 'pipe'] });
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
    this.#process.stderr.setEncoding('utf8').on('data', (text: string) => (this.#errors += text));
    // A process that died is found when its reply is missing.
    this.#process.stdin.on('error', () => {});
    this.#process.on('error', ({ message }) => (this.#errors += message));
  }

  /**
   * Run one epoch.
   * @throws SlimclrError when Python or torchvision is not there.
   */
  async epoch(): Promise<RivalTimes> {
    this.#process.stdin.write('\n');
    const line = await this.#lines.next();
    if (line.done !== true) {
      const [seconds, processorSeconds] = reply.parse(JSON.parse(line.value));
      return { seconds, processorSeconds };
    }
    const reason = this.#errors.trimEnd().split('\n').at(-1);
    throw new SlimclrError(
      `${this.python} ended (${reason}); accepted by --python: a Python with torchvision and pillow`,
    );
  }

  close(): void {
    this.#process.stdin.end();
  }
}
