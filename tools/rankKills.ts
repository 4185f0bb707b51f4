/*
 * Ends ranks of small trainings at random moments, again and again, and resumes them: whatever the moment, all ranks end
 * soon, and the run ends with the weights of one that nobody disturbed.
 *
 *   npm run kills:ranks -- --launcher MPICH --count 20 --ranks 3 --seed 0
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { configSchema } from '../src/config/schema.js';
import { Random } from '../src/random.js';
import { writeImages } from '../test/evaluation/tinyRun.js';
import { isRunning, trainingProcesses } from '../test/support/childProcesses.js';
import { launchers, launchSlimclr, type Launched, type TestLauncher } from '../test/support/launchers.js';
import { kill, outcomeOf, trialConfig } from './kills.js';

/** What of a rank is ended: its process that trains, or the one that the launcher has started. */
const victims = ['training', 'parent'] as const;
/** Seconds in which all ranks are to have ended. */
const soon = 30;

export interface RankKillOptions {
  readonly launcher: TestLauncher;
  readonly ranks: number;
  /** Runs. */
  readonly count: number;
  readonly seed: number;
  readonly onProgress?: (message: string) => void;
}

/** What came out differently, one line a fault; empty when nothing did. */
export async function rankKillTrials(options: RankKillOptions): Promise<string[]> {
  const { launcher, ranks, count, seed, onProgress } = options;
  const folder = mkdtempSync(join(tmpdir(), 'slimclr-rank-kills-'));
  const faults: string[] = [];
  try {
    const source = join(folder, 'images');
    await writeImages(source, 24, 1);
    const method = { kind: 'moco-v2', queueSize: 16 * ranks } as const;
    const config = configSchema.parse({ ...trialConfig(source), method, batchSize: 4, accumulation: ranks });
    const file = join(folder, 'config.json');
    writeFileSync(file, JSON.stringify(config));
    const train = (run: string) => {
      const args = ['pretrain', '--config', file, '--output', run, '--resume', 'auto'];
      return launchSlimclr(launcher, ranks, args, `echo $$ > ${folder}/pid.$rank`);
    };
    const reference = join(folder, 'reference');
    const began = performance.now();
    const { code, stderr } = await train(reference).exited;
    if (code !== 0) return [`the undisturbed run ended with ${code}: ${stderr.trim()}`];
    const length = performance.now() - began;
    const expected = await outcomeOf(reference);
    for (let trial = 0; trial < count; trial++) {
      const random = new Random(seed, trial);
      const run = join(folder, `trial-${trial}`);
      const after = random.uniform(0.05, 1) * length;
      const rank = random.integer(ranks);
      const victim = victims[random.integer(victims.length)]!;
      const what = `trial ${trial} (${victim} of rank ${rank} after ${after.toFixed(0)} ms)`;
      const started = train(run);
      const ids = await endedAfter(started, after, () => victimOf(folder, rank, victim));
      const seconds = ids === null ? 0 : await untilAllEnd(started, ids);
      if (seconds > soon) faults.push(`${what}: ranks ended after ${seconds.toFixed(0)} s`);
      const resumed = await train(run).exited;
      if (resumed.code !== 0)
        faults.push(`${what}: ended with ${resumed.code}: ${resumed.stderr.trim().split('\n').at(-1)}`);
      else if ((await outcomeOf(run)) !== expected) faults.push(`${what}: other weights or measurements`);
      const end = ids === null ? 'was over' : `ended in ${seconds.toFixed(1)} s`;
      onProgress?.(`${what}: ${end}; ${faults.length} faults so far`);
      rmSync(run, { recursive: true });
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return faults;
}

/** Ends a process of a training after some time; gives the ids of all of its ranks' processes, null where it was over. */
async function endedAfter(
  { child, exited }: Launched,
  milliseconds: number,
  victim: () => { readonly id: number | undefined; readonly all: readonly number[] },
): Promise<readonly number[] | null> {
  await Promise.race([sleep(milliseconds), exited]);
  if (child.exitCode !== null) return null;
  const { id, all } = victim();
  if (id !== undefined) kill(id);
  return all;
}

function victimOf(folder: string, rank: number, victim: (typeof victims)[number]) {
  const parents: number[] = [];
  for (let i = 0; ; i++) {
    try {
      parents.push(Number(readFileSync(join(folder, `pid.${i}`), 'utf8')));
    } catch {
      break;
    }
  }
  const all = parents.flatMap((parent) => [parent, ...trainingProcesses(parent)]);
  const parent = parents[rank];
  const training = parent === undefined ? undefined : trainingProcesses(parent)[0];
  return { id: victim === 'parent' ? parent : (training ?? parent), all };
}

/** Seconds until the launcher and all of these processes have ended. */
async function untilAllEnd({ exited }: Launched, ids: readonly number[]): Promise<number> {
  const began = performance.now();
  await exited;
  while (ids.some((id) => isRunning(id)) && performance.now() - began < 2000 * soon) await sleep(50);
  return (performance.now() - began) / 1000;
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      launcher: { type: 'string' },
      ranks: { type: 'string', default: '2' },
      count: { type: 'string', default: '20' },
      seed: { type: 'string', default: '0' },
    },
  });
  const used = launchers.filter(({ name }) => values.launcher === undefined || name === values.launcher);
  if (used.length === 0) {
    console.error(`no launcher of MPI${values.launcher === undefined ? '' : ` that is ${values.launcher}`}`);
    process.exitCode = 1;
  }
  const [ranks, count, seed] = [values.ranks, values.count, values.seed].map(Number) as [number, number, number]; // prettier-ignore
  for (const launcher of used) {
    console.log(`${launcher.name}, ${ranks} ranks`);
    const onProgress = (message: string) => console.log(message);
    const faults = await rankKillTrials({ launcher, ranks, count, seed, onProgress });
    for (const fault of faults) console.error(fault);
    console.log(`${count} runs, ${faults.length} faults`);
    if (faults.length > 0) process.exitCode = 1;
  }
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
