import type { KernelTime } from '../../src/profile/trace.js';
import { median } from '../bench/median.js';
import type { Proof } from './prove.js';
import type { Timing } from './times.js';
import { tracedRuns } from './trace.js';

/** e.g. `  cifar10-resnet20   Python, stock   float32   3.1e-7 of 1e-5   ok`. */
export function formatProof({ preset, setup, precision, error, bound, problem }: Proof): string {
  const head = `  ${preset.padEnd(28)} ${setup.padEnd(18)} ${precision}`;
  if (error === null) return `${head}  did not run: ${problem}`;
  const verdict = error <= bound ? 'ok' : 'WRONG';
  return `${head}  ${error.toExponential(1)} of ${bound.toExponential(0)}  ${verdict}`;
}

/** e.g. `  float16 batch 256  in process: slimclr, target cuda   412.0 ms   621.4 images/s   0.93 of PyTorch`. */
export function formatTiming(timing: Timing): string {
  const { side, precision, batchSize, seconds, imagesPerSecond, ratio, traffic, problem } = timing;
  const head = `  ${precision} batch ${String(batchSize).padEnd(4)} ${side.padEnd(54)}`;
  if (problem !== undefined) return `${head} did not run: ${problem}`;
  const cells = [
    `${(1000 * median(seconds)).toFixed(1)} ms`.padStart(11),
    `${imagesPerSecond.toFixed(1)} images/s`.padStart(17),
    ratio === null ? '' : `${ratio.toFixed(2)} of PyTorch`.padStart(18),
  ];
  return `${head}${cells.join('')}${traffic ? `  ${formatTraffic(traffic)}` : ''}`;
}

function formatTraffic({ written, read, images }: NonNullable<Timing['traffic']>): string {
  const beside = written - images;
  return `${bytes(beside)} written beside the images, ${bytes(read)} read`;
}

function bytes(count: number): string {
  return count < 1e5 ? `${count} B` : `${(count / 1e6).toFixed(1)} MB`;
}

/** The operators and, after them, the nodes' layers that take longest in a run; copies between host and device last. */
export function formatKernels(
  operators: readonly Omit<KernelTime, 'layer'>[],
  layers: readonly KernelTime[],
  count: number,
): string {
  const total = operators.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const row = ({ operator, pass, calls, milliseconds }: Omit<KernelTime, 'layer'>, layer = '') => {
    const share = `${((100 * milliseconds) / total).toFixed(1)} %`.padStart(7);
    const each = `${(milliseconds / tracedRuns).toFixed(3)} ms`.padStart(11);
    return `${each}${share}  ${String(calls / tracedRuns).padStart(5)} calls  ${operator} ${pass} ${layer}`.trimEnd();
  };
  const copies = operators.filter(({ operator }) => operator.startsWith('Memcpy'));
  return [
    ...operators.slice(0, count).map((each) => row(each)),
    ...layers.slice(0, count).map((each) => row(each, each.layer)),
    copies.length === 0
      ? '  no copy between host and device'
      : `  copies between host and device: ${copies.map((each) => row(each).trim()).join('; ')}`,
  ].join('\n');
}
