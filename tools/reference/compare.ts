import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseConfig } from '../../src/config/load.js';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import { SlimclrError } from '../../src/errors.js';
import { buildPrograms } from '../../src/methods/index.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import type { Manifest } from '../../src/programs/manifest.js';
import { readManifest } from '../../src/runtime/programs.js';
import { targets } from '../../src/targets/index.js';
import {
  badness,
  compare,
  errorsOf,
  switchedRelus,
  type Errors,
  type QuantityResult,
  type Tensors,
} from './comparison.js';
import {
  allowedRatio,
  asExact,
  gradientErrors,
  gradientTables,
  type GradientErrors,
} from './gradientTable.js';
import { drawInputs } from './inputs.js';
import { memoryFormats, Pytorch } from './pytorch.js';
import { programsOf, runStep } from './step.js';

/** What is compared unless asked otherwise. */
const cases: Readonly<Record<string, ConfigInput>> = {
  resnet20: { encoder: { name: 'resnet20', stem: 'cifar' }, data: { imageSize: 32 }, batchSize: 32 },
  resnet18: { encoder: { name: 'resnet18', stem: 'cifar' }, data: { imageSize: 32 }, batchSize: 16 },
  resnet50: { encoder: { name: 'resnet50', stem: 'imagenet' }, data: { imageSize: 64 }, batchSize: 16 },
};
/**
 * The queue is short: its length changes nothing but time. Momentum, rate and decay are such that a wrong one
 * moves values by far more than the tolerance.
 */
const method = { queueSize: 512, keyMomentum: 0.9 };
const sgd = { learningRate: 0.1, weightDecay: 0.01 };
/** Tensors named below a quantity; --json has all. */
const shown = 5;
/** Where the running means stand before the step; a target may subtract them before it sums squares. */
const runningMeans = ['drawn', 'zero', 'batch'] as const;

type TargetName = Config['runtime']['target'];

interface Options {
  readonly encoder: readonly string[];
  readonly target: readonly TargetName[];
  readonly programs?: string;
  readonly seed: number;
  readonly shift: number;
  readonly runningMeans: (typeof runningMeans)[number];
  readonly margins: boolean;
  readonly python: readonly string[];
  readonly json?: string;
}

interface CaseResult {
  readonly title: string;
  readonly within: boolean;
  /** By target. */
  readonly quantities: Readonly<Record<string, readonly QuantityResult[]>>;
  /** By implementation. */
  readonly gradients: Readonly<Record<string, GradientErrors>>;
  /** Between PyTorch's float64 run and each of its float32 runs. */
  readonly switchedRelus: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

async function main(options: Options): Promise<void> {
  const results: CaseResult[] = [];
  const work = mkdtempSync(join(tmpdir(), 'slimclr-reference-'));
  try {
    if (options.programs !== undefined) results.push(await compareFolders([options.programs], work, options));
    else {
      for (const name of options.encoder) {
        const folders = options.target.map((target) => join(work, `${name}.${target}`));
        for (const [i, target] of options.target.entries()) {
          await buildPrograms(parseConfig({ ...cases[name], method, runtime: { target } }), folders[i]!);
        }
        results.push(await compareFolders(folders, work, options));
        for (const folder of folders) rmSync(folder, { recursive: true });
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  if (!results.every(({ within }) => within)) process.exitCode = 1;
}

/**
 * The graphs of folders that differ in target only, and PyTorch in float64 and float32, on the same inputs; prints
 * the comparison.
 */
async function compareFolders(
  folders: readonly string[],
  work: string,
  options: Options,
): Promise<CaseResult> {
  const pytorches: Pytorch[] = [];
  for (const python of options.python) pytorches.push(await Pytorch.open(python, folders[0]!, work));
  const manifests = await Promise.all(folders.map(readManifest));
  const [manifest] = manifests as [Manifest];
  const config = manifest.config as Config;
  const { encoder, data, batchSize } = config;
  const title =
    `${encoder.name}, ${encoder.stem} stem, batch ${batchSize} at ${data.imageSize}x${data.imageSize}, ` +
    `widths ${manifest.widths.join(' ')}, seed ${options.seed}` +
    (options.shift === 0 ? '' : `, betas shifted by ${options.shift}`) +
    (options.runningMeans === 'drawn' ? '' : `, running means: ${options.runningMeans}`);
  console.log(`\n${title}`);

  const inputs = drawInputs(manifest, config, options.seed, options.shift);
  if (options.margins) {
    for (const [name, tensor] of await pytorches[0]!.placeMargins(inputs)) inputs.set(name, tensor);
  }
  if (options.runningMeans !== 'drawn') clearRunningMeans(inputs);
  if (options.runningMeans === 'batch') {
    setRunningMeans(inputs, await runStep(programsOf(folders[0]!, manifest), inputs, sgd));
  }

  const float64 = await pytorches[0]!.runStep(inputs, 'float64', sgd);
  const pytorchErrors = new Map<string, Errors>();
  const switched: Record<string, Record<string, number>> = {};
  for (const pytorch of pytorches) {
    for (const format of memoryFormats) {
      const name = `PyTorch ${pytorch.version} ${format}`;
      const float32 = await pytorch.runStep(inputs, format, sgd);
      pytorchErrors.set(name, errorsOf(float32, float64));
      switched[name] = Object.fromEntries(switchedRelus(float32, float64));
    }
  }
  const ourErrors = new Map<string, Errors>();
  for (const [i, folder] of folders.entries()) {
    const { target } = manifests[i]!;
    ourErrors.set(target, errorsOf(await runStep(programsOf(folder, manifests[i]!), inputs, sgd), float64));
  }

  const quantities: Record<string, QuantityResult[]> = {};
  for (const [target, errors] of ourErrors) {
    quantities[target] = compare(errors, [...pytorchErrors.values()]);
    printQuantities(target, quantities[target]);
  }
  const theirs = gradientErrorsOf(pytorchErrors);
  const ours = gradientErrorsOf(ourErrors);
  for (const line of gradientTables(theirs, ours)) console.log(`  ${line}`);
  printSwitched(switched);
  const exact = [...ours.values()].every((errors) => asExact(errors, [...theirs.values()]));
  if (!exact) console.log(`  OUT OF BOUND: gradients, more than ${allowedRatio} times PyTorch's error`);
  const within = Object.values(quantities).every((results) => results.every(({ within }) => within));
  return {
    title,
    within: exact && within,
    quantities,
    gradients: Object.fromEntries([...theirs, ...ours]),
    switchedRelus: switched,
  };
}

const gradientErrorsOf = (errors: ReadonlyMap<string, Errors>): Map<string, GradientErrors> =>
  new Map([...errors].map(([name, each]) => [name, gradientErrors(each)]));

function clearRunningMeans(inputs: Map<string, TensorData>): void {
  for (const [name, tensor] of inputs) {
    if (!name.endsWith('.running_mean')) continue;
    inputs.set(name, { ...tensor, data: new Float32Array(tensor.data.length) });
  }
}

/** From a step with running means of 0, whose new ones are a tenth of the batch's. */
function setRunningMeans(inputs: Map<string, TensorData>, results: Tensors): void {
  for (const [name, tensor] of inputs) {
    if (!name.endsWith('.running_mean')) continue;
    const moved = results.get(`new.${name}`)!.data as Float32Array;
    inputs.set(name, { ...tensor, data: moved.map((mean) => mean / 0.1) });
  }
}

function printQuantities(target: string, quantities: readonly QuantityResult[]): void {
  console.log(`  ${target.padEnd(26)}tensors   worst error     bound   verdict`);
  for (const { quantity, tensors, mismatched, within } of quantities) {
    const worstFirst = [...tensors].sort((a, b) => badness(b) - badness(a));
    const [worst] = worstFirst;
    const numbers = worst ? `${exponent(worst.error).padStart(14)}${exponent(worst.bound).padStart(10)}` : '';
    const count = String(tensors.length).padStart(7);
    console.log(`  ${quantity.padEnd(26)}${count}${numbers.padEnd(24)}   ${within ? 'ok' : 'OUT OF BOUND'}`);

    const notes = [
      ...mismatched.map((name) => `${name}: on one side only, or of another shape`),
      ...worstFirst
        .filter((tensor) => tensor.excused || !tensor.within)
        .map(
          ({ name, error, within, bound, pytorchError }) =>
            `${name}: ${exponent(error)} ${within ? 'allowed, within' : 'beyond'} ${exponent(bound)}; ` +
            `PyTorch's own float32 runs: ${exponent(pytorchError)}`,
        ),
    ];
    for (const note of notes.slice(0, shown)) console.log(`    ${note}`);
    if (notes.length > shown) console.log(`    and ${notes.length - shown} more`);
  }
}

function printSwitched(switched: CaseResult['switchedRelus']): void {
  for (const [name, counts] of Object.entries(switched)) {
    const places = Object.entries(counts).map(([relu, count]) => `${count} in ${relu}`);
    if (places.length > 0) console.log(`  ReLU units that differ in ${name}: ${places.join(', ')}`);
  }
}

const exponent = (value: number): string => value.toExponential(1);

function parseSeed(value: string): number {
  if (/^\d{1,10}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('accepted: an integer from 0');
}

function parseShift(value: string): number {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  throw new InvalidArgumentError('accepted: a number from 0');
}

const command = new Command('npm run reference --')
  .description(
    'Compare the emitted training graphs with PyTorch on the same weights, images, keys and queue.',
  )
  .addOption(
    new Option('--encoder <names...>', 'what to compare')
      .choices(Object.keys(cases))
      .default(Object.keys(cases)),
  )
  .addOption(
    new Option('--target <names...>', 'whose graphs to compare')
      .choices(Object.keys(targets))
      .default(Object.keys(targets)),
  )
  .option('--programs <folder>', 'compare this program folder instead of building one')
  .option('--seed <n>', 'seed of weights and inputs', parseSeed, 0)
  .option('--shift <n>', 'betas of most channels are about +-n instead of 0', parseShift, 0)
  .addOption(
    new Option('--running-means <kind>', "before the step: near 0, exactly 0, or the batch's own")
      .choices(runningMeans)
      .default('drawn'),
  )
  .option('--no-margins', 'leave ReLU inputs where chance puts them, also within rounding error of 0')
  .option('--python <paths...>', 'Pythons that have PyTorch; the first one computes float64', [
    '/usr/bin/python3',
  ])
  .option('--json <file>', 'write every number to this file')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
