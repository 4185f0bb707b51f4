import { Command, InvalidArgumentError } from 'commander';
import { formatConfig } from '../../src/config/format.js';
import { probeBlockedKernels } from '../../src/engines/nchwcProbe.js';
import { cpuTarget } from '../../src/targets/cpu/index.js';
import type { Target } from '../../src/targets/target.js';
import { drawConfig, type DrawnConfig } from './configs.js';
import { tryConfig } from './configTrial.js';

interface Options {
  readonly count: number;
  readonly seed: number;
  readonly from: number;
  readonly small: boolean;
}

/** `npm run sweep -- configs`: random configs on every target; a line each, and exit code 1 when one is wrong. */
export async function sweepConfigs(args: readonly string[]): Promise<void> {
  const { count, seed, from, small } = parse(args);
  const targets = await comparedTargets();
  let failed = 0;
  for (let index = from; index < from + count; index++) {
    const drawn = drawConfig({ seed, index, small });
    // First, so that it stands there when a kernel ends the process.
    process.stdout.write(`${index}: ${describeConfig(drawn)}`);
    const problem = await problemOf(drawn, targets);
    console.log(`: ${problem.text}`);
    if (!problem.failed) continue;
    failed += 1;
    console.log(
      `repeat: npm run sweep -- configs --seed ${seed} --from ${index} --count 1${small ? ' --small' : ''}`,
    );
    console.log(formatConfig(drawn.config));
  }
  console.log(`${count - failed} of ${count} configs: every target within its bound`);
  process.exitCode = failed > 0 ? 1 : 0;
}

/** All but `portable`, which they are compared with. Another one is a line here. */
export async function comparedTargets(): Promise<Target[]> {
  const probed = await probeBlockedKernels({ provider: 'cpu' });
  return 'reason' in probed ? [] : [cpuTarget(probed.blockSize)];
}

async function problemOf(
  drawn: DrawnConfig,
  targets: readonly Target[],
): Promise<{ text: string; failed: boolean }> {
  try {
    const differences = await tryConfig(drawn, targets);
    const texts = differences.map(
      ({ target, badness, place }) =>
        `${target} ${badness.toFixed(3)}${badness > 1 ? ` OUT OF BOUND, ${place}` : ''}`,
    );
    return { text: texts.join('; '), failed: differences.some(({ badness }) => badness > 1) };
  } catch (error) {
    return { text: (error as Error).message, failed: true };
  }
}

export function describeConfig({ config, images }: DrawnConfig): string {
  const { accumulation, batchSize, data, encoder, method, optimizer, techniques, widths } = config;
  return [
    `${method.kind} ${encoder.name} ${encoder.stem} ${data.imageSize} batch ${batchSize}x${accumulation}`,
    `widths ${widths.join('/')}`,
    `${techniques.weights} ${techniques.head} ${techniques.distillation.kind} ${optimizer.kind} ${images}`,
  ].join(', ');
}

function parse(args: readonly string[]): Options {
  const integer = (value: string): number => {
    if (/^\d{1,9}$/.test(value)) return Number(value);
    throw new InvalidArgumentError('accepted: an integer from 0');
  };
  return new Command('npm run sweep -- configs')
    .description('Random configs: a few steps on every target from the same state and images.')
    .option('--count <n>', 'configs', integer, 20)
    .option('--seed <n>', 'seed of the configs', integer, 0)
    .option('--from <n>', 'the first of them', integer, 0)
    .option('--small', 'those that `npm test` draws from', false)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse(args, { from: 'user' })
    .opts<Options>();
}
