import { Command } from 'commander';
import { printable } from '../printable.js';
import type { DoctorReport } from '../doctor/doctor.js';
import type { EngineReport } from '../doctor/engineReports.js';
import { cacheOption, type CacheOption } from './options.js';

export function doctorCommand(): Command {
  return new Command('doctor')
    .description('show versions, machine, cache, and on which engines and providers training works')
    .addOption(cacheOption())
    .option('--python <interpreter>', 'name or path of the Python of runtime.engine=python', 'python3')
    .option(
      '--library <path>',
      'another ONNX Runtime, as runtime.library takes it (default: that of onnxruntime-node)',
    )
    .option('--json', 'print all of it as JSON (default: no)')
    .action(
      async ({
        cache,
        python,
        library,
        json,
      }: CacheOption & { python: string; library?: string; json?: true }) => {
        const { cudaAdvice, doctor } = await import('../doctor/doctor.js');
        const report = await doctor({ cache, python, library });
        const trains = (provider: string, among = report.engines) =>
          among.some(({ providers }) =>
            providers.some(({ name, failure }) => name === provider && failure === null),
          );
        if (!trains('cpu', report.engines.slice(0, 1))) process.exitCode = 1;
        if (json) return console.log(JSON.stringify(report, null, 2));
        const { versions, platform, cpu, blockedKernels, memory, engines, mpi } = report;
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
          [
            'memory',
            `${megabytes(memory.total)}${memoryLimit(memory.limit)}, ${megabytes(memory.free)} free`,
          ],
          ...cacheLines(report.cache),
          ...engines.flatMap(engineLines),
          ['mpi', mpi.map(({ path, version }) => `${version} (${path})`).join(', ') || 'none found'],
        ];
        const size = Math.max(...lines.map(([name]) => name.length));
        for (const [name, value] of lines) console.log(`${name.padEnd(size)}  ${value}`);
        if (!trains('cuda')) console.log(`\n${cudaAdvice.join('\n')}`);
      },
    );
}

function engineLines({
  engine,
  source,
  version,
  python,
  trainingOperators,
  providers,
}: EngineReport): [name: string, value: string][] {
  const runtime = version === null ? 'does not open' : `ONNX Runtime ${version}`;
  const interpreter = python === null ? '' : `, Python ${python}`;
  const operators = trainingOperators ? ', with training operators' : '';
  return [
    [`engine ${engine}`, `${printable(source)}: ${runtime}${interpreter}${operators}`],
    ...providers.map(({ name, failure }): [string, string] => [
      `  ${name}`,
      failure === null ? 'trains, with the numbers of the cpu' : `does not train: ${failure}`,
    ]),
  ];
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
