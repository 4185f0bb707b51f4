/*
 * Ends small trainings at random moments, again and again, and resumes them: whatever the moment, the run ends with the
 * weights of one that nobody disturbed, with one measurement of its monitor an epoch and the same best checkpoint.
 *
 *   npm run kills -- --count 100 --seed 0
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { configSchema, type Config } from '../src/config/schema.js';
import { Random } from '../src/random.js';
import {
  bestCheckpoint,
  latestCheckpoint,
  listCheckpoints,
  readCheckpoint,
} from '../src/training/checkpoint.js';
import type { LoggedEvent } from '../src/training/events.js';
import { writeImages } from '../test/evaluation/tinyRun.js';

/** How a training is ended: its process, the one that started it, or both at the same time. */
const victims = ['training', 'parent', 'both', 'SIGTERM'] as const;

export interface KillOptions {
  /** Runs. */
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (message: string) => void;
}

/** What came out differently, one line a fault; empty when nothing did. */
export async function killTrials({ count, seed, onProgress }: KillOptions): Promise<string[]> {
  const folder = mkdtempSync(join(tmpdir(), 'slimclr-kills-'));
  const faults: string[] = [];
  try {
    const source = join(folder, 'images');
    await writeImages(source, 24, 1);
    const config = trialConfig(source);
    const reference = join(folder, 'reference');
    const began = performance.now();
    await start(config, reference, false).ended;
    const length = performance.now() - began;
    const expected = await outcomeOf(reference);
    for (let trial = 0; trial < count; trial++) {
      const random = new Random(seed, trial);
      const run = join(folder, `trial-${trial}`);
      const moments: string[] = [];
      for (let kills = 1 + random.integer(3); kills > 0; kills--) {
        const after = random.uniform(0, 1.1 * length);
        const victim = victims[random.integer(victims.length)]!;
        moments.push(`${victim} after ${after.toFixed(0)} ms`);
        await endAfter(start(config, run, (await listCheckpoints(run)).length > 0), after, victim);
      }
      const { code, text } = await start(config, run, (await listCheckpoints(run)).length > 0).ended;
      const what = `trial ${trial} (${moments.join(', ')})`;
      if (code !== 0) faults.push(`${what}: ended with ${code}: ${text.trim().split('\n').at(-1)}`);
      else if ((await outcomeOf(run)) !== expected) faults.push(`${what}: other weights or measurements`);
      onProgress?.(`${what}: ${faults.length} faults so far`);
      rmSync(run, { recursive: true });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return faults;
}

export function trialConfig(source: string): Config {
  return configSchema.parse({
    widths: [1, 0.5],
    epochs: 3,
    batchSize: 8,
    techniques: { slowStart: { kind: 'full-width-first', epochs: 1 } },
    method: { kind: 'moco-v2', queueSize: 32 },
    checkpoint: { everySteps: 4, keep: 2 },
    monitor: { kind: 'knn', everyEpochs: 1, neighbours: 5 },
    runtime: { threads: 1, tune: 'off' },
    data: { source, imageSize: 16 },
  });
}

interface Started {
  readonly parent: ChildProcess;
  /** Id of the process that trains, once it is known. */
  readonly training: () => number | undefined;
  readonly ended: Promise<{ readonly code: number | null; readonly text: string }>;
}

/** Trains in a process of its own, which trains in another. */
function start(config: Config, runFolder: string, resume: boolean): Started {
  const parent = fork(fileURLToPath(import.meta.url), {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, SLIMCLR_KILLS: JSON.stringify({ config, runFolder, resume }) },
  });
  let text = '';
  parent.stderr!.on('data', (chunk: Buffer) => (text += chunk.toString()));
  let training: number | undefined;
  parent.on('message', (id: number) => (training = id));
  const ended = new Promise<{ code: number | null; text: string }>((resolve) =>
    parent.once('close', (code) => resolve({ code, text })),
  );
  return { parent, training: () => training, ended };
}

async function endAfter(
  { parent, training, ended }: Started,
  milliseconds: number,
  victim: (typeof victims)[number],
): Promise<void> {
  const timer = setTimeout(() => {
    const id = training();
    if (victim === 'SIGTERM') parent.kill('SIGTERM');
    if (victim !== 'parent' && victim !== 'SIGTERM' && id !== undefined) kill(id);
    if (victim !== 'training' && victim !== 'SIGTERM') parent.kill('SIGKILL');
  }, milliseconds);
  await ended;
  clearTimeout(timer);
}

export function kill(id: number): void {
  try {
    process.kill(id, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

/** All that a run is to end with, as text. */
export async function outcomeOf(run: string): Promise<string> {
  const { step, tensors } = await readCheckpoint((await latestCheckpoint(run)).path);
  const weights = Array.from(tensors, ([name, { data }]) => [
    name,
    Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'),
  ]);
  const lines = readFileSync(join(run, 'events.jsonl'), 'utf8').split('\n');
  const knn = lines.flatMap((line) => {
    const event = parse(line);
    return event?.type === 'knn' ? [{ step: event.step, accuracies: event.accuracies }] : [];
  });
  const { step: best, accuracy } = await bestCheckpoint(run);
  return JSON.stringify({ step, weights, knn, best, accuracy });
}

/** Null for a torn line. */
function parse(line: string): LoggedEvent | null {
  try {
    return JSON.parse(line) as LoggedEvent;
  } catch {
    return null;
  }
}

/** The process that is started by `start`. */
async function trainHere(request: string): Promise<void> {
  const { pretrain } = await import('../src/training/pretrain.js');
  const { childProcesses } = await import('../test/support/childProcesses.js');
  const { config, runFolder, resume } = JSON.parse(request) as {
    config: Config;
    runFolder: string;
    resume: boolean;
  };
  const controller = new AbortController();
  process.once('SIGTERM', () => controller.abort());
  const running = pretrain({ config, runFolder, resume, signal: controller.signal });
  const [training] = process.platform === 'linux' ? childProcesses(process.pid) : [];
  if (training !== undefined) process.send!(training);
  await running.then(
    () => process.disconnect(),
    (error: Error) => {
      process.stderr.write(`${error.message}\n`, () => process.exit(1));
    },
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { count: { type: 'string', default: '100' }, seed: { type: 'string', default: '0' } },
  });
  const [count, seed] = [Number(values.count), Number(values.seed)];
  const faults = await killTrials({ count, seed, onProgress: (message) => console.log(message) });
  for (const fault of faults) console.error(fault);
  console.log(`${count} runs, ${faults.length} faults`);
  process.exitCode = faults.length > 0 ? 1 : 0;
}

const request = process.env['SLIMCLR_KILLS'];
if (request !== undefined) await trainHere(request);
else if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href)
  await main();
