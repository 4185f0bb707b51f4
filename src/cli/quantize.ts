import { Command, Option } from 'commander';
import type { Conversion } from '../export/conversion.js';
import {
  addConversionOptions,
  conversionOptions,
  conversionTable,
  type ConversionFlags,
} from './conversion.js';
import {
  cacheOption,
  checkpointOption,
  libraryOptions,
  modelsOption,
  widthOption,
  type CacheOption,
} from './options.js';
import { StatusLine } from './statusLine.js';

interface Flags extends CacheOption, ConversionFlags {
  readonly width?: readonly number[];
  readonly output?: string;
  readonly checkpoint?: string;
  readonly precision: 'int8' | 'float16';
  readonly source?: string;
}

export function quantizeCommand(): Command {
  const command = new Command('quantize')
    .description('write an INT8 model of each width, and say what it loses and gains')
    .argument('<run>', 'folder of a run')
    .addOption(widthOption())
    .addOption(modelsOption())
    .addOption(
      new Option('--precision <precision>', 'of weights and inner values')
        .choices(['int8', 'float16'])
        .default('int8'),
    )
    .option(
      '--source <source>',
      'images to calibrate, measure and check on, a data set or a folder (default: those of the run)',
    );
  return addConversionOptions(command)
    .addOption(checkpointOption())
    .addOption(cacheOption())
    .action(async (run: string, { width, ...flags }: Flags) => {
      const { exportRun } = await import('../export/exportRun.js');
      const status = new StatusLine();
      const conversions: Conversion[] = [];
      const { models } = await exportRun(run, {
        ...libraryOptions(conversionOptions(flags)),
        ...(width !== undefined && { widths: width }),
        onProgress: (message) => status.show(message),
        onNotice: (line) => status.print(line),
        onConversion: (conversion) => conversions.push(conversion),
      });
      status.clear();
      process.stdout.write(conversionTable(conversions));
      for (const { file } of models) console.log(file);
    });
}
