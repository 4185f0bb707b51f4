import { readFileSync } from 'node:fs';
import { Command, Option } from 'commander';
import { formatConfig } from '../config/format.js';
import { presets } from '../config/presets.js';
import type { Config } from '../config/schema.js';
import { UsageError } from '../errors.js';
import { profileSchema } from '../profile/stepProfiler.js';
import { parseJson } from '../readJson.js';
import { shellWord } from '../shellWord.js';
import type { TrainingControl } from '../training/pretrain.js';
import { eventPrinter } from './eventPrinter.js';
import {
  addConfigOptions,
  cacheOption,
  configFrom,
  libraryOptions,
  type CacheOption,
  type ConfigOptions,
} from './options.js';
import { formatProfile } from './profileTable.js';
import { abortOnSignals, onCheckpointSignal } from './signals.js';
import { StatusLine } from './statusLine.js';

type Flags = ConfigOptions &
  CacheOption & {
    readonly output?: string;
    readonly resume?: true | string;
    readonly quiet?: boolean;
    readonly dryRun?: boolean;
    readonly profile?: boolean;
    readonly tune?: string;
  };

export function pretrainCommand(): Command {
  const command = new Command('pretrain')
    .description('pre-train a slimmable encoder on images without labels')
    .option('--output <folder>', 'run folder: config, programs, event log, checkpoints; required to train')
    .option(
      '--resume [checkpoint]',
      'go on from the newest checkpoint of the run folder, or from this one; without --preset and --config with the config of the run folder (default: a new run)',
    );
  return addConfigOptions(command)
    .addOption(cacheOption())
    .option('--quiet', 'print errors only (default: progress on stderr)')
    .option(
      '--profile',
      'print where the time of steps 3 to 12 went, by graph, operator and layer, and write it to profile.json of the run folder; training goes on (default: no profile)',
    )
    .addOption(
      new Option(
        '--tune <when>',
        "auto measures this machine's kernels at first use of a config, which takes seconds, off takes built-in choices; sets runtime.tune (default: that of the config)",
      ).choices(['auto', 'off']),
    )
    .option('--dry-run', 'print the complete config as JSON and stop (default: train)')
    .addHelpText('after', presetsHelp)
    .action(run);
}

async function run({
  output,
  resume,
  quiet,
  dryRun,
  profile = false,
  tune,
  set = [],
  ...flags
}: Flags): Promise<void> {
  const status = new StatusLine();
  const assignments = tune === undefined ? set : [...set, `runtime.tune=${tune}`];
  const config = await chooseConfig({ ...flags, set: assignments }, output, resume, (notice) =>
    status.print(notice),
  );
  if (dryRun) {
    process.stdout.write(formatConfig(config));
    return;
  }
  if (output === undefined) throw new UsageError('--output is missing; accepted: the path of a run folder');
  let control: TrainingControl | undefined;
  const interruption = abortOnSignals((signal) => {
    const what = control ? 'writing a checkpoint after this step' : 'ending before the first step';
    status.print(`${signal}: ${what}; a second one exits at once`);
  });
  const forget = onCheckpointSignal(() => {
    status.print(`SIGUSR1: ${control ? 'writing a checkpoint after this step' : 'nothing to save yet'}`);
    control?.checkpoint();
  });
  const { pretrain } = await import('../training/pretrain.js');
  const print = eventPrinter(status, output);
  const reason = await pretrain({
    config,
    runFolder: output,
    resume: resume ?? false,
    profile,
    signal: interruption.signal,
    ...(!quiet && {
      onProgress: (message: string) => status.update(() => message),
      onNotice: (message: string) => status.print(message),
    }),
    ...libraryOptions({ ...(flags.cache !== undefined && { cache: flags.cache }) }),
    onTraining: (given) => (control = given),
    onEvent: (event) => {
      if (event.type === 'profile') printProfile(status, event.file);
      else if (!quiet) print(event);
    },
  }).finally(() => {
    status.clear();
    interruption.stop();
    forget();
  });
  if (reason === 'interrupted') {
    const { listCheckpoints } = await import('../training/checkpoint.js');
    const isSaved = (await listCheckpoints(output)).length > 0;
    status.print(
      isSaved
        ? `interrupted; \`slimclr pretrain --output ${shellWord(output)} --resume\` goes on from there`
        : 'interrupted before the first checkpoint; the same command begins anew',
    );
    interruption.end();
  }
}

/** The config of the options; that of the run folder when a run is resumed and no other is named. */
async function chooseConfig(
  flags: ConfigOptions,
  output: string | undefined,
  resume: Flags['resume'],
  onNotice: (message: string) => void,
): Promise<Config> {
  if (flags.preset !== undefined || flags.config !== undefined) return configFrom(flags);
  if (output !== undefined && resume !== undefined) {
    const { resumedConfig } = await import('../training/resumedConfig.js');
    return resumedConfig(output, {
      onNotice,
      ...(flags.set && { set: flags.set }),
      ...(resume !== true && { checkpoint: resume }),
    });
  }
  throw new UsageError(
    `neither --preset nor --config; accepted: a config file or a preset: ${Object.keys(presets).join(', ')}`,
  );
}

/** Prints a profile on stdout: it is a result. */
function printProfile(status: StatusLine, file: string): void {
  status.clear();
  process.stdout.write(formatProfile(parseJson(readFileSync(file, 'utf8'), profileSchema, file)));
}

function presetsHelp(): string {
  const lines = Object.entries(presets).map(([name, { description }]) => `  ${name}: ${description}`);
  return `\nPresets:\n${lines.join('\n')}\n\nKeys of --set and --config: those that --dry-run prints.`;
}
