import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import type { MethodName } from '../../src/config/methods.js';
import { loadConfig } from '../../src/config/load.js';
import type { Config } from '../../src/config/schema.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { readManifest } from '../../src/programs/readManifest.js';
import { targets } from '../../src/targets/index.js';
import {
  allCases,
  caseOf,
  encoders,
  methodNames,
  momentOf,
  type Case,
  type ReferenceEncoder,
} from './cases.js';
import {
  compareCase,
  compareFolders,
  runningMeans,
  type CaseResult,
  type CompareOptions,
} from './compareCase.js';
import { imageKinds, type ImageKind } from './inputs.js';
import { asExact, printCase, printHeading, printLine } from './printCase.js';

interface Options extends Omit<CompareOptions, 'images'> {
  readonly images: readonly ImageKind[];
  readonly encoder?: readonly ReferenceEncoder[];
  readonly method: readonly MethodName[];
  readonly all: boolean;
  readonly only?: string;
  readonly preset?: string;
  readonly set?: readonly string[];
  readonly slowStart: boolean;
  readonly programs?: string;
  readonly json?: string;
}

async function main(options: Options): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'slimclr-reference-'));
  const results: CaseResult[] = [];
  try {
    if (options.all && options.programs === undefined) printHeading(options.target);
    for (const images of options.images) {
      if (options.programs !== undefined) {
        results.push(await compareProgram(options.programs, work, { ...options, images }));
        continue;
      }
      for (const tested of casesOf(options)) {
        const title = `${tested.title}, ${images}`;
        const result = await compareCase({ ...tested, title }, work, { ...options, images });
        if (options.all) printLine(result);
        else printCase(result);
        results.push(result);
      }
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  // What --all runs is too small for the ratio to say much: which float32 run is the less exact one is chance.
  const failed = results.filter(({ within, ratios }) => !within || (!options.all && !asExact(ratios)));
  if (options.all) console.log(`${results.length - failed.length} of ${results.length} within their bounds`);
  if (failed.length > 0) process.exitCode = 1;
}

function casesOf({
  all,
  only = '',
  encoder = all ? ['resnet20'] : (Object.keys(encoders) as ReferenceEncoder[]),
  method,
  preset,
  set = [],
  slowStart,
  seed,
}: Options): Case[] {
  if (all) {
    return encoder.flatMap((name) => allCases(name, set)).filter(({ title }) => title.includes(only));
  }
  if (preset !== undefined) {
    return [{ title: `preset ${preset}, seed ${seed}`, config: loadConfig({ preset, set }), slowStart }];
  }
  return encoder.flatMap((encoder) =>
    method.map((method) => {
      const tested = caseOf(encoder, method, set, { slowStart });
      return { ...tested, title: `${describe(tested.config)}, seed ${seed}` };
    }),
  );
}

async function compareProgram(
  folder: string,
  work: string,
  options: CompareOptions & Pick<Options, 'slowStart'>,
): Promise<CaseResult> {
  const config = (await readManifest(folder)).config as Config;
  if (config.method.kind === 'seed') {
    // The teacher of the comparison would take the place of the one that is there.
    throw new UsageError(
      `--programs ${folder}: method seed; accepted: other methods, or --method seed without a folder`,
    );
  }
  const title = `${describe(config)}, seed ${options.seed}, ${options.images}`;
  const moment = momentOf({ title, config, slowStart: options.slowStart });
  const result = await compareFolders([folder], title, moment, work, options);
  printCase(result);
  return result;
}

function describe({ accumulation, batchSize, data, encoder, method, widths }: Config): string {
  const micro = accumulation === 1 ? '' : `${accumulation} times `;
  return (
    `${method.kind}, ${encoder.name}, ${encoder.stem} stem, batch ${micro}${batchSize} at ` +
    `${data.imageSize}x${data.imageSize}, widths ${widths.join(' ')}`
  );
}

function parseSeed(value: string): number {
  if (/^\d{1,10}$/.test(value)) return Number(value);
  throw new InvalidArgumentError('accepted: an integer from 0');
}

function parseShift(value: string): number {
  if (/^\d+(\.\d+)?$/.test(value)) return Number(value);
  throw new InvalidArgumentError('accepted: a number from 0');
}

const command = new Command('npm run reference --')
  .description('Compare a training step of the emitted graphs with PyTorch on the same weights and inputs.')
  .addOption(
    new Option('--encoder <names...>', 'what to compare (default: all three, with --all resnet20)').choices(
      Object.keys(encoders),
    ),
  )
  .addOption(
    new Option('--method <kinds...>', 'by which methods it trains').choices(methodNames).default(['moco-v2']),
  )
  .option(
    '--set <assignment>',
    'set one key of the config, e.g. techniques.head=switchable; may be given more than once',
    (assignment: string, before: readonly string[] = []) => [...before, assignment],
  )
  .option('--preset <name>', 'compare this preset, with --set on top, instead')
  .option('--slow-start', 'compare a step in which only the full width trains', false)
  .option(
    '--all',
    'every method with every technique and optimiser, one line each; with resnet50 three methods',
    false,
  )
  .option('--only <text>', 'of --all those cases that have this in their title')
  .option('--programs <folder>', 'compare this program folder instead of building one')
  .addOption(
    new Option('--target <names...>', 'whose graphs to compare')
      .choices(Object.keys(targets))
      .default(Object.keys(targets).filter((name) => name !== 'ort-training')),
  )
  .addOption(
    new Option('--images <kinds...>', 'noise, or objects on white and black backgrounds')
      .choices(imageKinds)
      .default(imageKinds),
  )
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
  .option(
    '--training-python <path>',
    'the Python whose onnxruntime-training runs --target ort-training',
    process.env['SLIMCLR_PYTHON_TRAINING'] ?? 'python3',
  )
  .option('--webgpu', 'run the graphs of --target webgpu on a WebGPU device, not on the CPU', false)
  .option('--json <file>', 'write every number to this file')
  .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2));

try {
  await main(command.parse().opts<Options>());
} catch (error) {
  if (!(error instanceof SlimclrError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
