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

export interface RivalSetting {
  readonly python: Python;
  readonly channelsLast: boolean;
  readonly compiled: boolean;
}

/** What a setting reached in its trial. */
export interface Trial {
  /** PyTorch's version, memory format, eager or compiled. */
  readonly name: string;
  readonly seconds: number;
  readonly peakMemory: number;
}

/** Steps of a trial that are timed. */
const trialSteps = 2;

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

/** Every combination that may be the fastest somewhere; the others are settled (pytorch/slimclr_step.py). */
export function rivalSettings(pythons: readonly Python[], compile: boolean): readonly RivalSetting[] {
  return pythons.flatMap((python) =>
    (compile && python.compiles ? [false, true] : [false]).flatMap((compiled) =>
      [false, true].map((channelsLast) => ({ python, channelsLast, compiled })),
    ),
  );
}

/**
 * Tries each setting for a few steps on the config of a program folder and gives the process of the fastest,
 * warmed up. A setting that fails is told to `failed` with its reason and is out of the race; undefined when
 * none is left.
 */
export async function fastestRival(
  settings: readonly RivalSetting[],
  folder: string,
  threads: number,
  tried: (trial: Trial) => void,
  failed: (what: string, reason: string) => void,
): Promise<{ process: StepProcess; trial: Trial } | undefined> {
  let best: { process: StepProcess; trial: Trial } | undefined;
  for (const { python, channelsLast, compiled } of settings) {
    const what = `${channelsLast ? 'channels_last' : 'NCHW'}, ${compiled ? 'compiled' : 'eager'}`;
    let process: StepProcess | undefined;
    try {
      const flags = [...(channelsLast ? ['--channels-last'] : []), ...(compiled ? ['--compile'] : [])];
      const args = [script, join(folder, manifestFile), ...flags, '--threads', String(threads)];
      const started = await StepProcess.start({ command: python.path, args, threads });
      process = started.process;
      // The first step compiles, and fills caches.
      await process.step();
      const seconds: number[] = [];
      for (let i = 0; i < trialSteps; i++) seconds.push((await process.step()).seconds);
      const name = `${started.name}, ${what}`;
      const trial = { name, seconds: median(seconds), peakMemory: process.peakMemory() };
      tried(trial);
      if (best && best.trial.seconds <= trial.seconds) process.close();
      else {
        best?.process.close();
        best = { process, trial };
      }
    } catch (error) {
      process?.close();
      if (!(error instanceof SlimclrError)) throw error;
      failed(`${python.path}, ${what}`, error.message);
    }
  }
  return best;
}
