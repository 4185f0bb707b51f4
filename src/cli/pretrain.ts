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
  positive,
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
    readonly init?: string;
    readonly quiet?: boolean;
    readonly dryRun?: boolean;
    readonly profile?: boolean;
    readonly maxMinutes?: number;
    readonly tune?: string;
  };

/** Exit code of a run whose time is up: EX_TEMPFAIL of sysexits.h, another try may succeed. */
const timeIsUp = 75;

export function pretrainCommand(): Command {
  const command = new Command('pretrain')
    .description('pre-train a slimmable encoder on images without labels')
    .option('--output <folder>', 'run folder: config, programs, event log, checkpoints; required to train')
    .option(
      '--resume [checkpoint]',
      'go on from the newest checkpoint of the run folder, or from this one; best: from the best by the monitor; auto: from the newest, or begin where there is none; without --preset and --config with the config of the run folder; with other epochs or schedule from there on (default: a new run)',
    );
  return addConfigOptions(command)
    .addOption(
      new Option(
        '--init <weights>',
        'begin with the weights of a run (RUN/best: its best checkpoint), a checkpoint or a file that `slimclr import` reads, those that fit: widths, method and image size may be others; sets init.file (default: all are drawn)',
      ),
    )
    .addOption(cacheOption())
    .addOption(
      new Option(
        '--max-minutes <minutes>',
        `end after the step that passes this time since the start of the command, with a checkpoint and exit code ${timeIsUp} (default: no limit)`,
      ).argParser(positive),
    )
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
  maxMinutes,
  tune,
  init,
  set = [],
  ...flags
}: Flags): Promise<void> {
  if (init !== undefined && resume !== undefined && resume !== 'auto') {
    throw new UsageError('--init is for a run that begins; accepted with --resume auto, or without --resume');
  }
  const status = new StatusLine();
  const assignments = [
    ...set,
    ...(tune === undefined ? [] : [`runtime.tune=${tune}`]),
    ...(init === undefined ? [] : [`init.file=${JSON.stringify(init)}`, 'init.sha256=""']),
  ];
  const { isFollower, followerConfig } = await import('../training/follower.js');
  const config = await chooseConfig({ ...flags, set: assignments }, output, resume, (notice) => {
    if (!isFollower()) status.print(notice);
  }).catch((error: unknown) => followerConfig(assignments, error));
  const follows = isFollower(config.runtime);
  const isQuiet = quiet || follows;
  if (dryRun) {
    if (!follows) process.stdout.write(formatConfig(config));
    return;
  }
  if (output === undefined) throw new UsageError('--output is missing; accepted: the path of a run folder');
  let control: TrainingControl | undefined;
  const interruption = abortOnSignals((signal) => {
    const what = control ? 'writing a checkpoint after this step' : 'ending before the first step';
    if (!follows) status.print(`${signal}: ${what}; a second one exits at once`);
  });
  const forget = onCheckpointSignal(() => {
    if (!follows)
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
    ...(maxMinutes !== undefined && { maxMinutes: maxMinutes - process.uptime() / 60 }),
    ...(!isQuiet && {
      onProgress: (message: string) => status.update(() => message),
      onNotice: (message: string) => status.print(message),
    }),
    ...libraryOptions({ ...(flags.cache !== undefined && { cache: flags.cache }) }),
    onTraining: (given) => (control = given),
    onEvent: (event) => {
      if (event.type === 'profile') printProfile(status, event.file);
      else if (!isQuiet) print(event);
    },
  }).finally(() => {
    status.clear();
    interruption.stop();
    forget();
  });
  const goOn = `\`slimclr pretrain --output ${shellWord(output)} --resume\` goes on from there`;
  if (reason === 'time-limit') {
    if (!follows) status.print(`the time is up; ${goOn}`);
    process.exitCode = timeIsUp;
  }
  if (reason === 'interrupted') {
    const { listCheckpoints } = await import('../training/checkpoint.js');
    const isSaved = (await listCheckpoints(output)).length > 0;
    // What the command has changed of the run, such as its epochs, may not be written yet.
    const message = !isSaved
      ? 'interrupted before the first checkpoint; the same command begins anew'
      : control
        ? `interrupted; ${goOn}`
        : 'interrupted before the first step; the same command goes on';
    if (!follows) status.print(message);
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
      ...(resume !== true && resume !== 'auto' && { checkpoint: resume }),
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
