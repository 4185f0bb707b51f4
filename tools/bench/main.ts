import { Argument, Command } from 'commander';
import { SlimclrError } from '../../src/errors.js';

type Benchmark = (args: string[]) => Promise<void>;

/** Each is loaded when it runs, and reads its own options. */
const benchmarks: Readonly<Record<string, { description: string; load: () => Promise<Benchmark> }>> = {
  step: {
    description: 'a training step with all widths, against PyTorch',
    load: async () => (await import('./step.js')).benchStep,
  },
  augment: {
    description: 'decoding and augmentation, against torchvision on PIL',
    load: async () => (await import('./augment.js')).benchAugment,
  },
  data: {
    description: 'shards: opening, reading beside files, memory',
    load: async () => (await import('./data.js')).benchData,
  },
  infer: {
    description: 'exported models, against PyTorch and its own export',
    load: async () => (await import('./infer.js')).benchInfer,
  },
};

const program = new Command('npm run bench --')
  .description('Compare speed and memory with PyTorch on this machine.')
  .addArgument(
    new Argument('[benchmark]', 'without it: all, at their defaults').choices(Object.keys(benchmarks)),
  )
  .argument('[options...]', '--help lists those of a benchmark')
  .passThroughOptions()
  .addHelpText(
    'after',
    () =>
      `\nBenchmarks:\n${Object.entries(benchmarks)
        .map(([name, { description }]) => `  ${name.padEnd(9)} ${description}`)
        .join('\n')}`,
  )
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  .action(async (name: string | undefined, args: string[]) => {
    const chosen = name === undefined ? Object.values(benchmarks) : [benchmarks[name]!];
    for (const { load } of chosen) await (await load())(args);
  });

try {
  await program.parseAsync();
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
