import { Command, Option } from 'commander';
import { counted } from '../counted.js';
import type { DatasetSplit } from '../data/dataset.js';
import { printable } from '../printable.js';
import {
  cacheOption,
  checkpointOption,
  integer,
  libraryOptions,
  number,
  type CacheOption,
} from './options.js';
import { StatusLine } from './statusLine.js';

interface Flags extends CacheOption {
  readonly output: string;
  readonly width?: number;
  readonly checkpoint?: string;
  readonly split: DatasetSplit;
  readonly limit: number;
}

export function embedCommand(): Command {
  return new Command('embed')
    .description('write the features of images, by the encoder of a run or by an exported model')
    .argument('<model>', 'folder of a run, or an exported model (.onnx)')
    .argument(
      '<source>',
      'cifar10, mnist, fashion-mnist, or the path of a folder, a list, Parquet files or shards of images',
    )
    .addOption(
      new Option(
        '--output <file>',
        'what to write: .parquet (file, class, features), .csv, or .npy with a .names.csv beside it',
      ).makeOptionMandatory(),
    )
    .option('--width <width>', 'a width of the run, e.g. 0.5 (default: its widest)', number)
    .addOption(checkpointOption())
    .addOption(
      new Option('--split <split>', 'which images of a named data set; a folder has one split, all of it')
        .choices(['train', 'test'] satisfies DatasetSplit[])
        .default('train'),
    )
    .addOption(
      new Option('--limit <count>', 'at most this many images, drawn; 0: all')
        .argParser(integer(0))
        .default(0),
    )
    .addOption(cacheOption())
    .action(async (model: string, source: string, flags: Flags) => {
      const { embed } = await import('../embedding/embed.js');
      const status = new StatusLine();
      const { images, channels, width, files, skipped } = await embed(model, source, {
        ...libraryOptions(flags),
        onProgress: (message) => status.show(message),
        onNotice: (line) => status.print(line),
      }).finally(() => status.clear());
      const ofWidth = width === null ? '' : ` of width ${width}`;
      console.log(
        `${counted(images, 'image')}, ${channels} features each${ofWidth}: ${printable(files.join(', '))}`,
      );
      if (skipped.length > 0) console.log(`${counted(skipped.length, 'file')} skipped:`);
      for (const { path, reason } of skipped) console.log(`  ${printable(path)}: ${printable(reason)}`);
    });
}
