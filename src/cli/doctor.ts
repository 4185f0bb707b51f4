import { Command } from 'commander';
import { cacheOption, type CacheOption } from './options.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('show versions, machine, cache, and on which providers training works')
    .addOption(cacheOption())
    .action(async ({ cache }: CacheOption) => {
      const { cudaAdvice, doctor } = await import('../runtime/doctor.js');
      const { versions, platform, cpu, blockedKernels, memory, providers, ...rest } = await doctor(cache);
      const datasets = rest.cache.datasets.map(({ name, bytes }) => `${name} (${megabytes(bytes)})`);
      const lines: [name: string, value: string][] = [
        ['slimclr', versions.slimclr],
        ['node', `${versions.node}, ${platform}`],
        ['onnxruntime', versions.onnxruntime],
        ['cpu', cpu.model],
        ['threads', `${cpu.threads} of ${cpu.cores} cores; ${cpu.decodeThreads} decode images`],
        [
          'cpu target',
          'blockSize' in blockedKernels
            ? `blocked kernels, ${blockedKernels.blockSize} channels a block`
            : `not used: ${blockedKernels.reason}`,
        ],
        ['memory', `${megabytes(memory.total)}, ${megabytes(memory.free)} free`],
        ['cache', rest.cache.directory],
        ['data sets', datasets.join(', ') || 'none yet'],
        ...providers.map(({ name, bundled, failure }): [string, string] => [
          `provider ${name}`,
          failure === undefined
            ? 'trains, with the numbers of the cpu'
            : `does not train: ${failure}${bundled ? '' : ' (not part of onnxruntime-node)'}`,
        ]),
      ];
      const size = Math.max(...lines.map(([name]) => name.length));
      for (const [name, value] of lines) console.log(`${name.padEnd(size)}  ${value}`);
      const failed = (provider: string) =>
        providers.some(({ name, failure }) => name === provider && failure !== undefined);
      if (failed('cuda')) console.log(`\n${cudaAdvice.join('\n')}`);
      if (failed('cpu')) process.exitCode = 1;
    });
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 0 })} MB`;
}
