import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { z } from 'zod';
import { memoryEnvironment } from '../../src/engines/memoryEnvironment.js';
import { SlimclrError } from '../../src/errors.js';
import { kernelTimeSchema, type KernelTime } from '../../src/profile/trace.js';
import { configOf, type Precision, type Setup } from './setups.js';
import { built } from './side.js';

const worker = fileURLToPath(new URL('./traceWorker.js', import.meta.url));
const execute = promisify(execFile);

/** Runs of a graph whose kernels are added up. */
export const tracedRuns = 5;

/** The kernels of a graph of a preset by a setup, longest first. */
export async function trace(
  preset: string,
  set: readonly string[],
  setup: Setup,
  precision: Precision,
  graph: string,
): Promise<KernelTime[]> {
  const config = configOf(preset, [...set, `runtime.precision=${precision}`], setup);
  const folder = await built(config, () => {});
  try {
    const { stdout } = await execute(process.execPath, [worker, folder, graph, String(tracedRuns)], {
      env: { ...memoryEnvironment, ...process.env, CUDA_LAUNCH_BLOCKING: '1' },
      maxBuffer: 2 ** 27,
    });
    return z.array(kernelTimeSchema).parse(JSON.parse(stdout));
  } catch (cause) {
    const { stderr } = cause as { stderr?: string };
    if (stderr === undefined) throw cause;
    throw new SlimclrError(stderr.trim().split('\n').at(-1) ?? 'it ended without a word', { cause });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Times of kernels of one operator and pass added up, longest first. */
export function byOperator(kernels: readonly KernelTime[]): Omit<KernelTime, 'layer'>[] {
  const sums = new Map<string, Omit<KernelTime, 'layer'>>();
  for (const { operator, pass, calls, milliseconds } of kernels) {
    const key = `${operator} ${pass}`;
    const before = sums.get(key) ?? { operator, pass, calls: 0, milliseconds: 0 };
    sums.set(key, {
      ...before,
      calls: before.calls + calls,
      milliseconds: before.milliseconds + milliseconds,
    });
  }
  return [...sums.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}
