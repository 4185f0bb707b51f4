import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { parseConfig } from '../../src/config/load.js';
import type { Config, ConfigInput } from '../../src/config/schema.js';
import { SlimclrError } from '../../src/errors.js';
import { buildPrograms } from '../../src/methods/index.js';
import { readManifest } from '../../src/runtime/programs.js';
import { badness, compare, switchedRelus, type QuantityResult } from './comparison.js';
import { drawInputs } from './inputs.js';
import { Pytorch } from './pytorch.js';
import { runStep } from './step.js';

/** What is compared unless asked otherwise. */
const cases: Readonly<Record<string, ConfigInput>> = {
  resnet20: { encoder: { name: 'resnet20', stem: 'cifar' }, data: { imageSize: 32 }, batchSize: 32 },
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

interface Options {
  readonly encoder: readonly string[];
  readonly programs?: string;
  readonly seed: number;
  readonly margins: boolean;
  readonly python: string;
  readonly json?: string;
}

interface CaseResult {
  readonly title: string;
  readonly within: boolean;
  readonly quantities: readonly QuantityResult[];
  readonly switchedRelus: Readonly<Record<string, number>>;
}

async function main(options: Options): Promise<void> {
  const results: CaseResult[] = [];
  const work = mkdtempSync(join(tmpdir(), 'slimclr-reference-'));
  try {
    if (options.programs !== undefined) results.push(await compareFolder(options.programs, work, options));
    else {
      for (const name of options.encoder) {
        const folder = join(work, name);
        await buildPrograms(parseConfig({ ...cases[name], method }), folder);
        results.push(await compareFolder(folder, work, options));
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  if (!results.every(({ within }) => within)) process.exitCode = 1;
}

/** Our graphs once, PyTorch in float32 and float64, on the same inputs; prints the comparison. */
async function compareFolder(folder: string, work: string, options: Options): Promise<CaseResult> {
  const pytorch = await Pytorch.open(options.python, folder, work);
  const manifest = await readManifest(folder);
  const config = manifest.config as Config;
  const { encoder, data, batchSize } = config;
  const title =
    `${encoder.name}, ${encoder.stem} stem, batch ${batchSize} at ${data.imageSize}x${data.imageSize}, ` +
    `widths ${manifest.widths.join(' ')}, seed ${options.seed}`;
  console.log(`\n${title}`);

  const inputs = drawInputs(manifest, config, options.seed);
  if (options.margins) {
    for (const [name, tensor] of await pytorch.placeMargins(inputs)) inputs.set(name, tensor);
  }
  const ours = await runStep(folder, manifest, inputs, sgd);
  // Both sides contrast with the same keys, ours; PyTorch's own are compared with them.
  inputs.set('keys', ours.get('keys')!);
  const float32 = await pytorch.runStep(inputs, 'float32', sgd);
  const float64 = await pytorch.runStep(inputs, 'float64', sgd);

  const quantities = compare(ours, float32, float64);
  const switched = Object.fromEntries(switchedRelus(float32, float64));
  printQuantities(quantities);
  printSwitched(switched);
  return { title, within: quantities.every(({ within }) => within), quantities, switchedRelus: switched };
}

function printQuantities(quantities: readonly QuantityResult[]): void {
  console.log(`  ${'quantity'.padEnd(26)}tensors   worst error     bound   verdict`);
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
            `PyTorch's own float32 run: ${exponent(pytorchError)}`,
        ),
    ];
    for (const note of notes.slice(0, shown)) console.log(`    ${note}`);
    if (notes.length > shown) console.log(`    and ${notes.length - shown} more`);
  }
}

function printSwitched(switched: Readonly<Record<string, number>>): void {
  const places = Object.entries(switched).map(([name, count]) => `${count} in ${name}`);
  if (places.length === 0) console.log("  No ReLU unit differs between PyTorch's float32 and float64 runs.");
  else
    console.log(`  ReLU units that differ between PyTorch's float32 and float64 runs: ${places.join(', ')}.`);
}

const exponent = (value: number): string => value.toExponential(1);

function parseSeed(value: string): number {
  if (/^\d{1,10}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('accepted: an integer from 0');
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
  .option('--programs <folder>', 'compare this program folder instead of building one')
  .option('--seed <n>', 'seed of weights and inputs', parseSeed, 0)
  .option('--no-margins', 'leave ReLU inputs where chance puts them, also within rounding error of 0')
  .option('--python <path>', 'a Python that has PyTorch', '/usr/bin/python3')
  .option('--json <file>', 'write every number to this file')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
