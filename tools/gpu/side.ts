import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Config } from '../../src/config/schema.js';
import { threadCount } from '../../src/engines/engineOptions.js';
import { buildPrograms } from '../../src/methods/index.js';
import { manifestFile } from '../../src/programs/folder.js';
import { chooseTarget } from '../../src/tuning/chooseTarget.js';
import { targetOf } from '../../src/tuning/targetRecord.js';
import { StepProcess } from '../bench/stepProcess.js';
import type { Device, Precision } from './setups.js';

/** One side of a comparison: a process that does training steps. */
export interface Side {
  readonly name: string;
  readonly process: StepProcess;
  close(): void;
}

const worker = fileURLToPath(new URL('./stepWorker.js', import.meta.url));
/** The Python scripts lie beside the TypeScript sources, not beside what is compiled from them. */
const rival = fileURLToPath(new URL('../../../tools/gpu/pytorch_worker.py', import.meta.url));

/** Our step of a config on random images, its programs built and its choices measured. */
export async function ourSide(config: Config, onProgress: (message: string) => void): Promise<Side> {
  const folder = await built(config, onProgress);
  return started(process.execPath, [worker, folder], folder, config);
}

export interface RivalOptions {
  readonly python: string;
  readonly device: Device;
  readonly precision: Precision;
  readonly compile: boolean;
}

/** The same step in PyTorch. */
export async function rivalSide(config: Config, options: RivalOptions): Promise<Side> {
  const { python, device, precision, compile } = options;
  const plain = { ...config, runtime: { ...config.runtime, target: 'portable', provider: 'cpu' } } as const;
  const folder = await built(plain, () => {});
  const flags = ['--device', device, '--precision', precision, ...(compile ? ['--compile'] : [])];
  const threads = ['--threads', String(threadCount(config.runtime))];
  return started(python, [rival, join(folder, manifestFile), ...flags, ...threads], folder, config);
}

/** A folder with the programs of a config, lowered as a training on this machine would lower them. */
export async function built(config: Config, onProgress: (message: string) => void): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'slimclr-gpu-'));
  try {
    await buildPrograms(config, folder, targetOf(await chooseTarget(config, { onProgress })));
    return folder;
  } catch (error) {
    rmSync(folder, { recursive: true });
    throw error;
  }
}

async function started(
  command: string,
  args: readonly string[],
  folder: string,
  { runtime }: Config,
): Promise<Side> {
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const { process, name } = await StepProcess.start({ command, args, threads: threadCount(runtime) });
    const close = () => {
      process.close();
      remove();
    };
    return { name, process, close };
  } catch (error) {
    remove();
    throw error;
  }
}
