import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ConfigInput } from '../../src/config/schema.js';

// The path holds from dist/test/cli, where the compiled file lies.
export const executable = fileURLToPath(new URL('../../../bin/slimclr.js', import.meta.url));

export interface Outcome {
  /** Null when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Starts the executable; `exited` waits for its end. */
export function start(...args: string[]): { child: ChildProcess; exited: Promise<Outcome> } {
  return startAs({}, ...args);
}

/** The same as another user or in another environment. */
function startAs(
  options: Pick<SpawnOptions, 'env' | 'uid' | 'gid'>,
  ...args: string[]
): { child: ChildProcess; exited: Promise<Outcome> } {
  const child = spawn(process.execPath, [executable, ...args], {
    ...options,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const exited = new Promise<Outcome>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal, stdout, stderr }));
  });
  return { child, exited };
}

/** Runs the executable to its end. */
export function slimclr(...args: string[]): Promise<Outcome> {
  return start(...args).exited;
}

/** Runs the executable to its end as another user or in another environment. */
export function slimclrAs(
  options: Pick<SpawnOptions, 'env' | 'uid' | 'gid'>,
  ...args: string[]
): Promise<Outcome> {
  return startAs(options, ...args).exited;
}

/** Waits until the process has written `text` to stderr. */
export function written(child: ChildProcess, text: string): Promise<void> {
  let stderr = '';
  return new Promise((resolve, reject) => {
    child.stderr!.on('data', (chunk: Buffer) => {
      stderr += chunk.toString();
      if (stderr.includes(text)) resolve();
    });
    child.once('close', () => reject(new Error(`ended without "${text}": ${stderr}`)));
  });
}

/** Writes the config file of a training of seconds: ResNet-20 at two widths, batches of 8, 16 x 16 pixels. */
export function writeTinyConfig(folder: string, source: string, config: ConfigInput = {}): string {
  const file = join(folder, 'tiny.json');
  const tiny: ConfigInput = {
    widths: [1, 0.5],
    techniques: { slowStart: { kind: 'full-width-first', epochs: 1 } },
    method: { kind: 'moco-v2', queueSize: 16 },
    runtime: { threads: 1, tune: 'off' },
    epochs: 2,
    batchSize: 8,
    ...config,
    data: { source, imageSize: 16, ...config.data },
  };
  writeFileSync(file, JSON.stringify(tiny));
  return file;
}
