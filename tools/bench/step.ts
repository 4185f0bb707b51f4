import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';
import { viewSize } from '../../src/config/schema.js';
import { buildPrograms } from '../../src/methods/index.js';
import { chooseTarget } from '../../src/tuning/chooseTarget.js';
import { targetOf } from '../../src/tuning/targetRecord.js';
import { median } from './median.js';
import { neighbours, processTimes } from './neighbours.js';
import { memoryGoal, stepCases, stepConfig, type StepCaseName } from './stepCases.js';
import { StepProcess } from './stepProcess.js';
import { fastestRivals, findPythons, type Python, type RivalTrial } from './stepRival.js';
import { formatResults, formatTrial, type SideResult, type BenchedConfig } from './stepTable.js';

interface Options {
  readonly case: readonly StepCaseName[];
  readonly steps: number;
  readonly target?: string;
  readonly python: readonly string[];
  readonly compile: boolean;
  readonly json?: string;
}

/** Threads of each side. */
const threads = 2;
/** Threads of the side before may go on spinning for a moment. */
const pauseMilliseconds = 50;
const worker = fileURLToPath(new URL('./stepWorker.js', import.meta.url));

/**
 * Time and peak memory of one training step with all widths, against the same step in PyTorch with the fastest
 * settings on this machine, each side in a process of its own: medians of steps that take turns, then of as many in a
 * block of each side's own. What else ran on the machine is listed.
 */
export async function benchStep(args: string[]): Promise<void> {
  const options = parse(args);
  const pythons = await findPythons(options.python, (path) => console.log(`${path}: no PyTorch, skipped`));
  const results: BenchedConfig[] = [];
  for (const name of options.case) results.push(await measure(name, pythons, options));
  console.log(`\n${formatResults(results)}`);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
}

async function measure(
  name: StepCaseName,
  pythons: readonly Python[],
  { target, steps, compile }: Options,
): Promise<BenchedConfig> {
  const config = stepConfig(name, threads, target);
  const folder = mkdtempSync(join(tmpdir(), 'slimclr-bench-'));
  const processes: StepProcess[] = [];
  try {
    // As `slimclr pretrain` does: the choices measured on this machine, from the cache where they are there.
    const chosen = await chooseTarget(config, {
      onProgress: (message) => console.log(`${name}: ${message}`),
    });
    await buildPrograms(config, folder, targetOf(chosen));
    console.log(`\n${name}: settings of PyTorch`);
    const trials: RivalTrial[] = [];
    const rivals = await fastestRivals({
      pythons,
      compile,
      folder,
      threads,
      onTrial: (trial) => {
        trials.push(trial);
        console.log(formatTrial(trial));
      },
      onFailure: (setting, reason) => console.log(`  ${setting}: ${reason}`),
    });
    processes.push(...rivals.map(({ process }) => process));
    const ours = await StepProcess.start({ command: process.execPath, args: [worker, folder], threads });
    processes.unshift(ours.process);
    await ours.process.step();

    const moments = [processTimes()];
    const look = () => moments.push(processTimes());
    const seconds = await inTurns(processes, steps, look);
    const blockSeconds: number[][] = [];
    for (const sideProcess of processes) blockSeconds.push(await inBlock(sideProcess, steps, look));
    const sides = [ours.name, ...rivals.map(({ trial }) => trial.name)].map((title, i): SideResult => ({
      name: title,
      seconds: seconds[i]!,
      blockSeconds: blockSeconds[i]!,
      peakMemory: processes[i]!.peakMemory(),
    }));
    const [rival] = sides.slice(1).toSorted((a, b) => median(a.seconds) - median(b.seconds));
    return {
      name,
      imageSize: viewSize(config),
      batchSize: config.batchSize,
      goal: stepCases[name].goal,
      memoryGoal,
      ours: sides[0]!,
      ...(rival && { rival }),
      trials,
      neighbours: neighbours(moments, [process.pid]),
    };
  } finally {
    for (const sideProcess of processes) sideProcess.close();
    rmSync(folder, { recursive: true });
  }
}

/** Seconds of `steps` steps of each side, one of each side after the other: both meet the same states of the machine. `look` is called between. */
async function inTurns(
  processes: readonly StepProcess[],
  steps: number,
  look: () => void,
): Promise<number[][]> {
  const seconds = processes.map((): number[] => []);
  for (let i = 0; i < steps; i++) {
    for (const [side, sideProcess] of processes.entries()) {
      await sleep(pauseMilliseconds);
      seconds[side]!.push((await sideProcess.step()).seconds);
    }
    look();
  }
  return seconds;
}

/** Seconds of `steps` steps of one side, one after the other as in training, after one that is not counted. */
async function inBlock(sideProcess: StepProcess, steps: number, look: () => void): Promise<number[]> {
  await sleep(pauseMilliseconds);
  await sideProcess.step();
  const seconds: number[] = [];
  for (let i = 0; i < steps; i++) {
    seconds.push((await sideProcess.step()).seconds);
    look();
  }
  return seconds;
}

function parse(args: string[]): Options {
  const names = Object.keys(stepCases);
  const positive = (value: string): number => {
    if (/^[1-9]\d{0,3}$/.test(value)) return Number(value);
    throw new InvalidArgumentError('accepted: an integer from 1');
  };
  const newest = process.env['SLIMCLR_BENCH_PYTHON'];
  const pythons = ['/usr/bin/python3', ...(newest === undefined ? [] : [newest])];
  return new Command('npm run bench -- step')
    .description('A training step of SlimCLR with all widths against the same step in PyTorch.')
    .addOption(new Option('--case <names...>', 'what to measure').choices(names).default(names))
    .option('--steps <n>', 'measured steps of each side, in turns and in a block', positive, 7)
    .option('--target <name>', "runtime.target of the config; without it, the config's default")
    .option(
      '--python <paths...>',
      'Pythons to find the fastest PyTorch among; SLIMCLR_BENCH_PYTHON adds one',
      pythons,
    )
    .option('--no-compile', 'leave out torch.compile, which takes minutes a network when it runs first')
    .option('--json <file>', 'write every number to this file')
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse(args, { from: 'user' })
    .opts<Options>();
}
