import type { Command } from 'commander';
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
    .option('--preset <name>', `start from a preset: ${Object.keys(presets).join(', ')}`)
    .option('--config <file>', 'JSON file with keys of the config, on top of the preset')
    .option(
      '--set <assignment>',
      'set one key, e.g. epochs=100 or method.temperature=0.2; may be given more than once, wins over the others',
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
