import { Command } from 'commander';
import type { DoctorReport } from '../runtime/doctor.js';
import { cacheOption, type CacheOption } from './options.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('show versions, machine, cache, and on which providers training works')
    .addOption(cacheOption())
    .action(async ({ cache }: CacheOption) => {
      const { cudaAdvice, doctor } = await import('../runtime/doctor.js');
      const report = await doctor(cache);
      const { versions, platform, cpu, blockedKernels, memory, providers } = report;
      const lines: [name: string, value: string][] = [
        ['slimclr', versions.slimclr],
        ['node', `${versions.node}, ${platform}`],
        ['onnxruntime', versions.onnxruntime ?? 'does not load'],
        ['telemetry', `${report.telemetry}: ONNX Runtime collects nothing`],
        ['cpu', cpu.model],
        [
          'threads',
          `${cpu.threads} of ${cpu.cores} cores${cpuLimit(cpu.limit)}; ${cpu.decodeThreads} decode images`,
        ],
        [
          'cpu target',
          'blockSize' in blockedKernels
            ? `blocked kernels, ${blockedKernels.blockSize} channels a block`
            : `not used: ${blockedKernels.reason}`,
        ],
        ['memory', `${megabytes(memory.total)}${memoryLimit(memory.limit)}, ${megabytes(memory.free)} free`],
        ...cacheLines(report.cache),
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

function cpuLimit(limit: number | null): string {
  return limit === null ? '' : `, limited to the time of ${Number(limit.toFixed(2))}`;
}

function memoryLimit(limit: number | null): string {
  return limit === null ? '' : `, limited to ${megabytes(limit)}`;
}

function cacheLines(cache: DoctorReport['cache']): [name: string, value: string][] {
  if (cache.directory === null) return [['cache', cache.reason]];
  const datasets = cache.datasets.map(({ name, bytes }) => `${name} (${megabytes(bytes)})`);
  return [
    ['cache', `${cache.directory}${cache.writable ? '' : ', which cannot be written'}`],
    ['data sets', datasets.join(', ') || 'none yet'],
  ];
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toLocaleString('en', { maximumFractionDigits: 0 })} MB`;
}
