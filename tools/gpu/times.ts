import { setTimeout as sleep } from 'node:timers/promises';
import { viewSize } from '../../src/config/schema.js';
import { median } from '../bench/median.js';
import { problemOf } from './prove.js';
import { configOf, reference, type Device, type Precision, type Setup } from './setups.js';
import { ourSide, rivalSide, type Side } from './side.js';

export interface Timing {
  readonly side: string;
  readonly precision: Precision;
  readonly batchSize: number;
  /** Of each step; empty where it did not run. */
  readonly seconds: readonly number[];
  readonly imagesPerSecond: number;
  /** Images a second over PyTorch's; null where that did not run. */
  readonly ratio: number | null;
  /** Bytes between host and engine in a step, and those of its images, where the side counts them. */
  readonly traffic?: { readonly written: number; readonly read: number; readonly images: number };
  /** Why it did not run. */
  readonly problem?: string;
}

/** Images a second over PyTorch's that are to be reached. */
export const goal = 0.9;

export interface TimeOptions {
  readonly preset: string;
  readonly set: readonly string[];
  readonly setups: readonly Setup[];
  readonly device: Device;
  readonly precisions: readonly Precision[];
  readonly batchSizes: readonly number[];
  readonly steps: number;
  /** A Python that has PyTorch; without it there is no ratio. */
  readonly torch?: string | undefined;
  readonly compile: boolean;
  readonly onProgress: (message: string) => void;
  readonly onTiming: (timing: Timing) => void;
}

/** Steps before those that are timed: kernels are looked for and memory is taken. */
const warmUp = 2;
/** Threads of the side before may go on spinning for a moment. */
const pauseMilliseconds = 20;

/** A training step of all widths by every setup and in PyTorch, one step of each after the other. */
export async function time(options: TimeOptions): Promise<Timing[]> {
  const timings: Timing[] = [];
  for (const precision of options.precisions) {
    for (const batchSize of options.batchSizes) {
      for (const timing of await timeCase(options, precision, batchSize)) {
        timings.push(timing);
        options.onTiming(timing);
      }
    }
  }
  return timings;
}

interface Runner {
  readonly name: string;
  readonly side: Side | null;
  readonly seconds: number[];
  traffic?: { readonly written: number; readonly read: number } | undefined;
  problem?: string;
}

async function timeCase(options: TimeOptions, precision: Precision, batchSize: number): Promise<Timing[]> {
  const { preset, setups, device, torch, compile, steps, onProgress } = options;
  const set = [...options.set, `batchSize=${batchSize}`];
  const opened: Runner[] = [];
  const open = async (name: string, start: () => Promise<Side>) => {
    const side = await start().catch(problemOf);
    opened.push(
      typeof side === 'string'
        ? { name: name === '' ? 'PyTorch' : name, side: null, seconds: [], problem: side }
        : { name: name === '' ? side.name : `${name}: ${side.name}`, side, seconds: [] },
    );
  };
  try {
    if (torch !== undefined) {
      const config = configOf(preset, set, reference);
      await open('', () => rivalSide(config, { python: torch, device, precision, compile }));
    }
    for (const setup of setups) {
      if (precision === 'float16' && !setup.mixed) continue;
      await open(setup.title, async () => {
        const config = configOf(preset, [...set, `runtime.precision=${precision}`], setup);
        return ourSide(config, (message) => onProgress(`${setup.title}: ${message}`));
      });
    }
    for (let round = -warmUp; round < steps; round++) {
      for (const runner of opened) if (runner.problem === undefined) await stepOf(runner, round >= 0);
    }
  } finally {
    for (const { side } of opened) side?.close();
  }
  const [rival] = torch === undefined ? [] : opened;
  const size = viewSize(configOf(preset, set, reference));
  const images = 2 * batchSize * 3 * size * size * 4;
  const speed = ({ seconds }: Runner) => batchSize / median(seconds);
  return opened.map((runner): Timing => {
    const { name, seconds, traffic, problem } = runner;
    return {
      ...{ side: name, precision, batchSize, seconds, imagesPerSecond: speed(runner) },
      ratio: rival && runner !== rival && rival.problem === undefined ? speed(runner) / speed(rival) : null,
      ...(traffic && { traffic: { ...traffic, images } }),
      ...(problem !== undefined && { problem }),
    };
  });
}

async function stepOf(runner: Runner, counts: boolean): Promise<void> {
  await sleep(pauseMilliseconds);
  const reply = await runner.side!.process.step().catch(problemOf);
  if (typeof reply === 'string') {
    runner.problem = reply;
    runner.seconds.length = 0;
  } else if (counts) {
    runner.seconds.push(reply.seconds);
    runner.traffic = reply.traffic;
  }
}
