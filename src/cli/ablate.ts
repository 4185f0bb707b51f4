import { Command, Option } from 'commander';
import type { PlannedRun } from '../ablation/ablate.js';
import type { TrainingEvent } from '../training/events.js';
import type { TrainingControl } from '../training/pretrain.js';
import { eventPrinter } from './eventPrinter.js';
import {
  addConfigOptions,
  cacheOption,
  configFrom,
  integer,
  libraryOptions,
  type CacheOption,
  type ConfigOptions,
} from './options.js';
import { allRunsLeft } from './progress.js';
import { abortOnSignals, onCheckpointSignal } from './signals.js';
import { StatusLine } from './statusLine.js';
import { formatTable } from './table.js';

type Flags = ConfigOptions &
  CacheOption & {
    readonly output: string;
    readonly seeds: number;
    readonly table?: string;
    readonly variants?: readonly string[];
    readonly limitEval?: number;
    readonly testSource?: string;
    readonly testLimit?: number;
  };

export function ablateCommand(): Command {
  const count = integer(0);
  const command = new Command('ablate')
    .description(
      'pre-train and evaluate variants of a config with several seeds and compare them: without the techniques of ' +
        'SlimCLR, with each alone, with all; goes on where the folder stands',
    )
    .requiredOption(
      '--output <folder>',
      'a run folder for each variant and seed, ablation.json, ablation.md and ablation.html; required',
    );
  return addConfigOptions(command)
    .addOption(
      new Option('--seeds <count>', "runs of each variant, from the config's seed on")
        .argParser(integer(1))
        .default(2),
    )
    .option(
      '--table <file>',
      'JSON file {"name": ["key=value", ...], ...} of assignments on top of the config (default: naive, slow-start, distillation, reweighting, all)',
    )
    .addOption(
      new Option('--variants <names>', 'variants of the table, with commas (default: all of them)').argParser(
        (text) => text.split(','),
      ),
    )
    .addOption(
      new Option(
        '--limit-eval <count>',
        'evaluate with at most this many labelled training images; 0: all (default: as many as a run trains on)',
      ).argParser(count),
    )
    .option(
      '--test-source <source>',
      'test images (default: the test split of a named data set; a folder has none)',
    )
    .addOption(
      new Option('--test-limit <count>', 'at most this many test images; 0: all (default: 0)').argParser(
        count,
      ),
    )
    .addOption(cacheOption())
    .action(run);
}

async function run(flags: Flags): Promise<void> {
  const { output, seeds, table, variants, limitEval, testSource, testLimit, cache } = flags;
  const config = configFrom(flags);
  const { ablate } = await import('../ablation/ablate.js');
  const { ablationTables } = await import('../ablation/tables.js');
  const { readTable } = await import('../ablation/variants.js');
  const status = new StatusLine();
  const interruption = abortOnSignals((signal) => {
    status.print(
      `${signal}: stops, a training after this step with a checkpoint; a second one exits at once`,
    );
  });
  let control: TrainingControl | undefined;
  const forget = onCheckpointSignal(() => control?.checkpoint());
  const prefix = (at: PlannedRun) => `${at.index}/${at.count} ${at.variant}, seed ${at.seed}: `;
  let current: { index: number; print: (event: TrainingEvent) => void; ahead: () => string } | undefined;
  /** The printer of a run; the time left of all runs counts from the first that is heard of it. */
  const following = (at: PlannedRun) => {
    if (current?.index === at.index) return current;
    const begun = performance.now();
    const ahead = () => allRunsLeft(at.secondsLeft, (performance.now() - begun) / 1000);
    return (current = {
      index: at.index,
      print: eventPrinter(status, at.folder, prefix(at), ahead),
      ahead,
    });
  };
  const result = await ablate({
    config,
    folder: output,
    seeds,
    ...(table !== undefined && { table: await readTable(table) }),
    ...(variants !== undefined && { variants }),
    evaluation: {
      ...(limitEval !== undefined && { limit: limitEval }),
      ...(testSource !== undefined && { testSource }),
      ...(testLimit !== undefined && { testLimit }),
    },
    ...libraryOptions({ ...(cache !== undefined && { cache }) }),
    signal: interruption.signal,
    onTraining: (given) => (control = given),
    onEvent: (at, event) => following(at).print(event),
    onProgress: (at, message) => status.update(() => `${prefix(at)}${following(at).ahead()}${message}`),
    onNotice: (at, message) => status.print(`${prefix(at)}${message}`),
  }).finally(() => {
    status.clear();
    interruption.stop();
    forget();
  });
  for (const { title, rows } of ablationTables(result)) {
    process.stdout.write(`${title}\n${formatTable(rows)}\n`);
  }
  console.log(`${result.runs.length} runs: ${output}/ablation.html, ablation.md, ablation.json`);
  if (interruption.exitCode > 0 && !result.complete) {
    status.print('interrupted; the same command goes on from there');
    interruption.end();
  } else if (result.failures.length > 0) {
    status.print(`${result.failures.length} of the runs failed; the same command tries them again`);
    process.exitCode = 1;
  }
}
