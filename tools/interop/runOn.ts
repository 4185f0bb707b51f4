import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HostTensors } from '../../src/engines/hostGraph.js';
import { complaint } from './environment.js';
import type { Subject } from './subject.js';

/** What a runtime made of a model. */
export interface Run {
  readonly version: string;
  readonly outputs: HostTensors;
}

interface Reply {
  readonly version: string;
  readonly outputs: Readonly<Record<string, { readonly file: string; readonly shape: readonly number[] }>>;
}

/** The script lies beside the TypeScript sources, not beside what is compiled from them. */
const script = fileURLToPath(new URL('../../../tools/interop/run_model.py', import.meta.url));
const limitMilliseconds = 5 * 60_000;

/** Runs a model in a process of its own, which may crash: then this throws an Error with what it said last. */
export async function runOn(interpreter: string, module: string, subject: Subject): Promise<Run> {
  const folder = await mkdtemp(join(tmpdir(), 'slimclr-interop-'));
  try {
    const feeds: Record<string, object> = {};
    for (const [index, [name, { dtype, shape, data }]] of Object.entries(subject.feeds).entries()) {
      const file = join(folder, `feed-${index}`);
      await writeFile(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      feeds[name] = { file, dtype, shape };
    }
    const results = join(folder, 'results');
    await mkdir(results);
    const request = join(folder, 'request.json');
    const outputs = Object.keys(subject.expected);
    await writeFile(request, JSON.stringify({ model: subject.path, feeds, outputs, results }));
    const reply = JSON.parse(await ran(interpreter, [script, module, request])) as Reply;
    const values: Record<string, HostTensors[string]> = {};
    for (const [name, { file, shape }] of Object.entries(reply.outputs)) {
      const bytes = await readFile(file);
      const data = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      values[name] = { dtype: 'float32', shape, data };
    }
    return { version: reply.version, outputs: values };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The last line that a process prints. */
async function ran(command: string, args: readonly string[]): Promise<string> {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: limitMilliseconds });
  let [out, err] = ['', ''];
  child.stdout.on('data', (text: Buffer) => (out += text.toString()));
  child.stderr.on('data', (text: Buffer) => (err += text.toString()));
  const end = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(signal ?? String(code)));
  });
  const last = out.trimEnd().split('\n').at(-1)!;
  if (end !== '0') throw new Error(complaint(err) ?? `ended with ${end}`);
  return last;
}
