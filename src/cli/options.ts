import { InvalidArgumentError, Option, type Command } from 'commander';
import { loadConfig } from '../config/load.js';
import { presets } from '../config/presets.js';
import type { Config } from '../config/schema.js';

/** What `addConfigOptions` parses. */
export interface ConfigOptions {
  readonly preset?: string;
  readonly config?: string;
  readonly set?: readonly string[];
}

/** The options that say which config a command works on; `configFrom` reads them. */
export function addConfigOptions(command: Command): Command {
  return command
    .option('--preset <name>', `start from a preset: ${Object.keys(presets).join(', ')} (default: none)`)
    .option('--config <file>', 'JSON file with keys of the config, on top of the preset (default: none)')
    .option(
      '--set <assignment>',
      'set one key, e.g. epochs=100 or method.temperature=0.2; may be given more than once, in any order, and wins over preset and file (default: none)',
      (assignment: string, before: readonly string[] = []) => [...before, assignment],
    );
}

/** The complete config that the options stand for. Throws UsageError for whatever is wrong in them. */
export function configFrom({ preset, config, set }: ConfigOptions): Config {
  return loadConfig({
    ...(preset !== undefined && { preset }),
    ...(config !== undefined && { file: config }),
    ...(set !== undefined && { set }),
  });
}

/** What `cacheOption` parses. */
export interface CacheOption {
  readonly cache?: string;
}

export function cacheOption(): Option {
  return new Option(
    '--cache <folder>',
    'where data sets are kept (default: $SLIMCLR_CACHE, else $XDG_CACHE_HOME/slimclr, else ~/.cache/slimclr)',
  );
}

export function checkpointOption(): Option {
  return new Option(
    '--checkpoint <file>',
    "which checkpoint; best: the best by the run's monitor (default: the newest of the run)",
  );
}

/** Widths of a run, all where it is not given. */
export function widthOption(): Option {
  return new Option(
    '--width <width>',
    'a width of the run, e.g. 0.5; may be given more than once (default: all of them)',
  ).argParser((text: string, before: readonly number[] = []) => [...before, number(text)]);
}

/** Where exported models are written. */
export function modelsOption(): Option {
  return new Option('--output <folder>', 'folder of the models (default: export in the run folder)');
}

/** Options as the library takes them: `cache` is its `cacheDirectory`. */
export function libraryOptions<T extends CacheOption>({
  cache,
  ...others
}: T): Omit<T, 'cache'> & { cacheDirectory?: string } {
  return { ...others, ...(cache !== undefined && { cacheDirectory: cache }) };
}

/** Parser of an integer that is at least `minimum`. */
export function integer(minimum: number): (text: string) => number {
  return (text) => {
    const value = number(text);
    if (Number.isInteger(value) && value >= minimum) return value;
    throw new InvalidArgumentError(`Accepted: an integer >= ${minimum}.`);
  };
}

/** Parser of a number. */
export function number(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value)) return value;
  throw new InvalidArgumentError('Accepted: a number.');
}

/** Parser of a number above 0. */
export function positive(text: string): number {
  const value = number(text);
  if (value > 0) return value;
  throw new InvalidArgumentError('Accepted: a number > 0.');
}

/** Parser of a number with a unit, which `parse` does not make of other texts. */
export function withUnits(
  parse: (text: string) => number | undefined,
  accepted: string,
): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (value !== undefined) return value;
    throw new InvalidArgumentError(`Accepted: ${accepted}.`);
  };
}
