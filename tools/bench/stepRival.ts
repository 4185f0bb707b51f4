import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { SlimclrError } from '../../src/errors.js';
import { manifestFile } from '../../src/programs/folder.js';
import { median } from './median.js';
import { StepProcess } from './stepProcess.js';

/** The Python scripts lie beside the TypeScript sources, not beside what is compiled from them. */
const script = fileURLToPath(new URL('../../../tools/bench/pytorch/step_worker.py', import.meta.url));
const execute = promisify(execFile);

export interface Python {
  readonly path: string;
  /** Whether it has `torch.compile`. */
  readonly compiles: boolean;
}

interface Setting {
  readonly channelsLast: boolean;
  readonly compiled: boolean;
}

/** What a setting reached in its trial. */
export interface RivalTrial {
  /** PyTorch's version, memory format, eager or compiled. */
  readonly name: string;
  readonly seconds: number;
  readonly peakMemory: number;
}

/** A setting that is ready to run. */
export interface Rival {
  readonly process: StepProcess;
  readonly trial: RivalTrial;
}

/** Steps of a trial that are timed. */
const trialSteps = 2;
/** A setting whose trial took so many times as long as the fastest one's is out: a machine's own speed differs by less. */
const hopeless = 1.4;

/** The Pythons among `paths` that have PyTorch; `skipped` is told of each that has not. */
export async function findPythons(
  paths: readonly string[],
  skipped: (path: string) => void,
): Promise<readonly Python[]> {
  const found: Python[] = [];
  for (const path of paths) {
    try {
      const { stdout } = await execute(path, ['-c', 'import torch; print(hasattr(torch, "compile"))']);
      found.push({ path, compiles: stdout.trim() === 'True' });
    } catch {
      skipped(path);
    }
  }
  return found;
}

export interface Race {
  readonly pythons: readonly Python[];
  /** Whether torch.compile takes part. */
  readonly compile: boolean;
  /** A program folder. */
  readonly folder: string;
  readonly threads: number;
  readonly onTrial: (trial: RivalTrial) => void;
  /** Told of a setting that fails and is out of the race, with the reason. */
  readonly onFailure: (setting: string, reason: string) => void;
}

/**
 * Tries the settings of each Python for a few steps: both memory formats, and the faster of them compiled. All else
 * is settled (pytorch/slimclr_step.py). Gives the processes, warmed up, of those that may be the fastest: trials come
 * one after the other, so only steps in turns can tell.
 */
export async function fastestRivals(race: Race): Promise<readonly Rival[]> {
  let rivals: Rival[] = [];
  /** Seconds of a step; Infinity when the setting fails. */
  const tryOut = async (python: Python, setting: Setting): Promise<number> => {
    const name = `${setting.channelsLast ? 'channels_last' : 'NCHW'}, ${setting.compiled ? 'compiled' : 'eager'}`;
    try {
      const rival = await runTrial(python, setting, name, race);
      race.onTrial(rival.trial);
      rivals.push(rival);
      const fastest = Math.min(...rivals.map(({ trial }) => trial.seconds));
      const out = ({ trial }: Rival) => trial.seconds > hopeless * fastest;
      for (const { process } of rivals.filter(out)) process.close();
      rivals = rivals.filter((rival) => !out(rival));
      return rival.trial.seconds;
    } catch (error) {
      if (!(error instanceof SlimclrError)) throw error;
      race.onFailure(`${python.path}, ${name}`, error.message);
      return Infinity;
    }
  };
  for (const python of race.pythons) {
    const planar = await tryOut(python, { channelsLast: false, compiled: false });
    const channelsLast = await tryOut(python, { channelsLast: true, compiled: false });
    if (race.compile && python.compiles) {
      await tryOut(python, { channelsLast: channelsLast < planar, compiled: true });
    }
  }
  return rivals;
}

async function runTrial(
  { path }: Python,
  { channelsLast, compiled }: Setting,
  setting: string,
  { folder, threads }: Race,
): Promise<Rival> {
  const flags = [...(channelsLast ? ['--channels-last'] : []), ...(compiled ? ['--compile'] : [])];
  const args = [script, join(folder, manifestFile), ...flags, '--threads', String(threads)];
  const { process, name } = await StepProcess.start({ command: path, args, threads });
  try {
    // The first step compiles, and fills caches.
    await process.step();
    const seconds: number[] = [];
    for (let i = 0; i < trialSteps; i++) seconds.push((await process.step()).seconds);
    const trial = { name: `${name}, ${setting}`, seconds: median(seconds), peakMemory: process.peakMemory() };
    return { process, trial };
  } catch (error) {
    process.close();
    throw error;
  }
}
