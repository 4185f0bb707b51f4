/**
 * The graphs of the cpu target on another ONNX Runtime: `npm run newest -- --python PYTHON` emits the programs of some
 * configs, runs each graph on onnxruntime-node and on the onnxruntime of that Python with the same inputs, and compares
 * all outputs. One line a graph; exit code 1 where one is refused or its numbers differ.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { loadConfig } from '../../src/config/load.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { buildPrograms } from '../../src/methods/index.js';
import { probeBlockedKernels } from '../../src/engines/nchwcProbe.js';
import { ortLibrary } from '../../src/engines/ortLibrary.js';
import { cpuTarget } from '../../src/targets/cpu/index.js';
import { compareFolder } from './compareFolder.js';
import { PythonRuntime } from './pythonRuntime.js';

/** Batches that fill blocks of samples and such that do not, maps of all sizes that the recipes tell apart. */
const cases = {
  'resnet50-64': ['imagenet-resnet50', 'data.imageSize=64', 'batchSize=16', 'method.queueSize=64'],
  'resnet50-224': ['imagenet-resnet50', 'batchSize=2', 'method.queueSize=8'],
  resnet20: ['cifar10-resnet20', 'batchSize=32', 'method.queueSize=128'],
  resnet18: ['cifar10-resnet18', 'batchSize=12', 'method.queueSize=48'],
  'resnet20-simclr': ['cifar10-resnet20-simclr', 'batchSize=16'],
} as const satisfies Record<string, readonly [preset: string, ...set: string[]]>;
type CaseName = keyof typeof cases;

const { python, names } = options();
const open: (() => void)[] = [];
try {
  const probed = await probeBlockedKernels({ provider: 'cpu' });
  if ('reason' in probed) throw new SlimclrError(`the cpu target cannot be run here: ${probed.reason}`);
  const target = cpuTarget(probed.blockSize);
  const runtime = await PythonRuntime.open(python);
  console.log(`onnxruntime ${runtime.version} of ${python} against onnxruntime-node ${ortLibrary().version}`);
  open.push(() => runtime.close());
  let wrong = 0;
  for (const name of names) {
    const [preset, ...set] = cases[name];
    const folder = mkdtempSync(join(tmpdir(), 'slimclr-newest-'));
    try {
      const config = loadConfig({ preset, set: [...set, 'accumulation=1', 'runtime.target=cpu'] });
      const manifest = await buildPrograms(config, folder, target);
      for (const graph of manifest.graphs) {
        const { problem, error } = await compareFolder(folder, graph, runtime);
        const result = problem ?? `equal, largest error ${error.toExponential(1)} of the largest value`;
        console.log(`${problem === null ? 'ok   ' : 'WRONG'} ${name} ${graph.name}: ${result}`);
        if (problem !== null) wrong++;
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  }
  console.log(wrong === 0 ? 'every graph runs, with equal numbers' : `${wrong} graphs are refused or wrong`);
  process.exitCode = wrong === 0 ? 0 : 1;
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = error instanceof UsageError ? 2 : 1;
} finally {
  for (const close of open) close();
}

function options(): { readonly python: string; readonly names: readonly CaseName[] } {
  const program = new Command('npm run newest --')
    .description('Run the graphs of the cpu target on the onnxruntime of a Python and compare the outputs.')
    .requiredOption('--python <path>', 'a Python that has onnxruntime, e.g. of a venv')
    .argument('[cases...]', `without it: all; accepted: ${Object.keys(cases).join(', ')}`)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse();
  const unknown = program.args.find((name) => !(name in cases));
  if (unknown !== undefined) {
    program.error(`unknown case "${unknown}"; accepted: ${Object.keys(cases).join(', ')}`);
  }
  const names = program.args.length > 0 ? program.args : Object.keys(cases);
  return { python: program.opts<{ python: string }>().python, names: names as CaseName[] };
}
