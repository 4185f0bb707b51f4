import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { targetName, type Config } from '../config/schema.js';
import { UsageError } from '../errors.js';
import type { Difference } from '../golden/difference.js';
import { diffPrograms } from '../golden/diffPrograms.js';
import { checkGolden, fileConfigs, presetConfigs, updateGolden } from '../golden/golden.js';
import { summarizeModel, summarizePrograms } from '../golden/summary.js';
import { buildPrograms } from '../methods/index.js';
import { decodeModel, formatType, type OnnxModel } from '../onnx/model.js';
import { modelText } from '../onnx/text.js';
import { readNamedFile, readPlainFile } from '../plainFile.js';
import { readManifest } from '../programs/readManifest.js';
import { cpuTarget } from '../targets/cpu/index.js';
import type { Target } from '../targets/target.js';
import { readTargetRecord, targetOf } from '../tuning/targetRecord.js';
import { addConfigOptions, configFrom, integer, type ConfigOptions } from './options.js';
import { formatTable } from './table.js';

interface BuildOptions extends ConfigOptions {
  readonly output: string;
  readonly block?: '8' | '16';
  readonly tuning?: string;
}
interface InfoOptions {
  readonly text?: true;
}
interface DiffOptions {
  readonly lines: number;
}
interface CheckOptions extends DiffOptions {
  readonly config?: readonly string[];
  readonly update?: true;
}

/** `slimclr graph`: the ONNX graphs that training is made of. */
export function graphCommand(): Command {
  const command = new Command('graph').description('write, show, check and compare the training graphs');

  addConfigOptions(command.command('build'))
    .description('write the graphs of a config, their manifest and freshly drawn weights to a folder')
    .requiredOption('--output <folder>', 'folder to write, created if need be')
    .addOption(
      new Option(
        '--block <channels>',
        'block size of the cpu target: 16 for processors with AVX-512, 8 for others; `slimclr doctor` says which (default: 16)',
      ).choices(['8', '16']),
    )
    .addOption(
      new Option(
        '--tuning <file>',
        "tuning.json of a run, for that run's graphs (default: the config's target with built-in choices, the same on any machine)",
      ).conflicts('block'),
    )
    .action(build);

  command
    .command('info')
    .description('show what an ONNX file or a folder of graphs holds')
    .argument('<path>', 'ONNX file, or folder that `graph build` wrote')
    .option('--text', 'print the canonical text of the graphs instead: one line a node, without weights')
    .action(info);

  addLines(command.command('check'))
    .description('emit graphs afresh and compare them with the golden ones; exit code 1 when they differ')
    .argument('[folder]', 'folder of golden graphs', 'graphs')
    .option(
      '--config <file>',
      'config file whose graphs the folder holds, instead of those of the presets; may be given more than once',
      (file: string, before: readonly string[] = []) => [...before, file],
    )
    .option('--update', 'write the golden graphs instead of comparing')
    .action(check);

  addLines(command.command('diff'))
    .description('compare two folders of graphs or two ONNX files; exit code 1 when they differ')
    .argument('<a>', 'folder or file before')
    .argument('<b>', 'folder or file after')
    .action(diff);

  return command;
}

function addLines(command: Command): Command {
  return command.option(
    '--lines <count>',
    'lines to show of each graph that differs; 0 shows all',
    integer(0),
    20,
  );
}

async function build({ output, block, tuning, ...options }: BuildOptions): Promise<void> {
  const { initialize } = await import('../import/initialize.js');
  const { config, weights, line } = await initialize(configFrom(options));
  await buildPrograms(config, output, await chosenTarget(config, block, tuning), weights);
  if (line !== null) console.log(line);
  await printFolder(output);
}

/** What the options say; undefined leaves it to the config. */
async function chosenTarget(
  { runtime }: Config,
  block: BuildOptions['block'],
  tuning: string | undefined,
): Promise<Target | undefined> {
  if (tuning !== undefined) {
    const record = await readTargetRecord(tuning);
    if (!record) throw new UsageError(`${tuning}: no such file; accepted: tuning.json of a run`);
    return targetOf(record);
  }
  if (block === undefined) return undefined;
  if (targetName(runtime) !== 'cpu') {
    throw new UsageError(
      `--block is for the cpu target; runtime.target of the config is "${runtime.target}"`,
    );
  }
  return cpuTarget(block === '8' ? 8 : 16);
}

async function info(path: string, { text }: InfoOptions): Promise<void> {
  const isFolder = await isDirectory(path);
  if (!text) return isFolder ? printFolder(path) : printModel(await readModel(path));
  if (!isFolder) return void process.stdout.write(modelText(await readModel(path)));
  for (const { file } of (await readManifest(path)).graphs) {
    const model = decodeModel(await readNamedFile(path, file), join(path, file));
    process.stdout.write(modelText(model));
  }
}

async function check(folder: string, { config, update, lines }: CheckOptions): Promise<void> {
  const configs = config ? fileConfigs(config) : presetConfigs();
  if (update) {
    const { written, removed } = await updateGolden(folder, configs);
    console.log(`${folder}: files written: ${written.length}, removed: ${removed.length}`);
    return;
  }
  const { compared, differences } = await checkGolden(folder, configs);
  printDifferences(differences, lines);
  const verdict =
    differences.length === 0
      ? 'no difference'
      : `${differences.length} differ; --update accepts the new ones`;
  console.log(`${folder}: ${compared} texts of ${[...configs.keys()].join(', ')} compared, ${verdict}`);
}

async function diff(a: string, b: string, { lines }: DiffOptions): Promise<void> {
  printDifferences(await diffPrograms(a, b), lines);
}

/** Prints at most so many lines of each, all for 0; sets the exit code when there are any. */
function printDifferences(differences: readonly Difference[], limit: number): void {
  for (const { subject, lines } of differences) {
    const shown = limit === 0 ? lines : lines.slice(0, limit);
    for (const line of shown) console.log(line);
    if (shown.length < lines.length) console.log(`${subject}: ${lines.length - shown.length} more lines`);
  }
  if (differences.length > 0) process.exitCode = 1;
}

async function printFolder(folder: string): Promise<void> {
  const { manifest, programs } = await summarizePrograms(folder);
  const { method, target, opset, labels } = manifest;
  console.log(`${folder}: ${method}, widths ${labels.join(' ')}, target ${target}, opset ${opset}`);
  const rows = programs.map(({ entry, nodes }) => [
    entry.name,
    String(nodes),
    gigaFlops(entry.flops),
    String(entry.parameters),
    entry.file,
  ]);
  process.stdout.write(formatTable([['graph', 'nodes', 'GFLOPs', 'parameters', 'file'], ...rows]));
}

function printModel(model: OnnxModel): void {
  const { graph, opsets, inputs, outputs, nodes, operators, productFlops, parameters } =
    summarizeModel(model);
  const sets = Object.entries(opsets).map(([domain, version]) => `${domain || 'ai.onnx'} ${version}`);
  console.log(`graph ${graph}, opset ${sets.join(', ')}, ${nodes} nodes`);
  console.log(`${parameters} parameters stored or referred to`);
  const flops = productFlops === undefined ? 'unknown' : gigaFlops(productFlops);
  console.log(`${flops} GFLOPs in convolutions and matrix products`);
  for (const { name, type, hasDefault } of inputs) {
    console.log(`input ${name}: ${formatType(type)}${hasDefault ? ' (has a default)' : ''}`);
  }
  for (const { name, type } of outputs) console.log(`output ${name}: ${formatType(type)}`);
  for (const [operator, uses] of operators) console.log(`operator ${operator}: ${uses}`);
}

function gigaFlops(flops: number): string {
  return (flops / 1e9).toFixed(3);
}

async function readModel(path: string): Promise<OnnxModel> {
  return decodeModel(await readPlainFile(path), path);
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw new UsageError(`${path}: cannot be read; accepted: an ONNX file or a folder of graphs`, { cause });
  }
}
