import { Command } from 'commander';
import { configJsonSchema } from '../config/describe.js';
import { formatConfig } from '../config/format.js';
import { loadConfig } from '../config/load.js';
import { presets } from '../config/presets.js';

export function configCommand(): Command {
  return new Command('config')
    .description('presets and keys of a config')
    .addCommand(
      new Command('show')
        .description('print the complete config of a preset as JSON')
        .argument('<preset>', `one of ${Object.keys(presets).join(', ')}`)
        .action((preset: string) => {
          process.stdout.write(formatConfig(loadConfig({ preset })));
        }),
    )
    .addCommand(
      new Command('schema').description('print the JSON Schema of config files').action(() => {
        process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
      }),
    );
}
