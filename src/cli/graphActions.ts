import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { targetName, type Config } from '../config/schema.js';
import { UsageError } from '../errors.js';
import type { Difference } from '../golden/difference.js';
import { diffPrograms } from '../golden/diffPrograms.js';
import { checkGolden, fileConfigs, presetConfigs, updateGolden } from '../golden/golden.js';
import { summarizeModel, summarizePrograms } from '../golden/summary.js';
import { initialize } from '../import/initialize.js';
import { buildPrograms } from '../methods/index.js';
import { decodeModel, formatType, type OnnxModel } from '../onnx/model.js';
import { modelText } from '../onnx/text.js';
import { readNamedFile, readPlainFile } from '../plainFile.js';
import { readManifest } from '../programs/readManifest.js';
import { cpuTarget } from '../targets/cpu/index.js';
import type { Target } from '../targets/target.js';
import { readTargetRecord, targetOf } from '../tuning/targetRecord.js';
import { configFrom, type ConfigOptions } from './options.js';
import { formatTable } from './table.js';

export interface BuildOptions extends ConfigOptions {
  readonly output: string;
  readonly block?: '8' | '16';
  readonly tuning?: string;
}
export interface InfoOptions {
  readonly text?: true;
}
export interface DiffOptions {
  readonly lines: number;
}
export interface CheckOptions extends DiffOptions {
  readonly config?: readonly string[];
  readonly update?: true;
}

export async function build({ output, block, tuning, ...options }: BuildOptions): Promise<void> {
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

export async function info(path: string, { text }: InfoOptions): Promise<void> {
  const isFolder = await isDirectory(path);
  if (!text) return isFolder ? printFolder(path) : printModel(await readModel(path));
  if (!isFolder) return void process.stdout.write(modelText(await readModel(path)));
  for (const { file } of (await readManifest(path)).graphs) {
    const model = decodeModel(await readNamedFile(path, file), join(path, file));
    process.stdout.write(modelText(model));
  }
}

export async function check(folder: string, { config, update, lines }: CheckOptions): Promise<void> {
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

export async function diff(a: string, b: string, { lines }: DiffOptions): Promise<void> {
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
