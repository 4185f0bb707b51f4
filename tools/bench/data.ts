import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import sharp from 'sharp';
import { integer, positive } from '../../src/cli/options.js';
import { formatTable } from '../../src/cli/table.js';
import { packShards } from '../../src/data/shards/packShards.js';
import { ShardWriter } from '../../src/data/shards/shardWriter.js';
import { openSource } from '../../src/data/source.js';
import type { LoadResult, OpenResult } from './dataProcess.js';
import { median } from './median.js';
import { writePhotographs } from './pillow/testImages.js';

const parts = ['index', 'read', 'memory'] as const;

interface Options {
  readonly part?: (typeof parts)[number];
  readonly images: number;
  readonly shards: number;
  readonly gigabytes: number;
  readonly folder: string;
  readonly workers: number;
  readonly keep: boolean;
}

/** Shards: how long opening takes, how fast images are read beside files, how much memory more images than memory take. */
export async function benchData(args: string[]): Promise<void> {
  const command = new Command('npm run bench -- data')
    .addOption(new Option('--part <part>', 'one of them; default: all').choices(parts))
    .option('--images <count>', 'small images to index', integer(1), 1_281_167)
    .option('--shards <count>', 'shards they are in', integer(1), 147)
    .option('--gigabytes <size>', 'of shards for the memory', positive, 20)
    .option('--workers <count>', 'of the loader', integer(1), 2)
    .option('--folder <folder>', 'where all is written', tmpdir())
    .option('--keep', 'leave what was written to the second run, in --folder', false)
    .parse(args, { from: 'user' });
  const options = command.opts<Options>();
  const work = options.keep
    ? join(options.folder, 'bench-data')
    : await mkdtemp(join(options.folder, 'bench-data-'));
  await mkdir(work, { recursive: true });
  try {
    if ((options.part ?? 'index') === 'index') await benchIndex(work, options);
    if ((options.part ?? 'read') === 'read') await benchReading(work, options);
    if ((options.part ?? 'memory') === 'memory') await benchMemory(work, options);
  } finally {
    if (!options.keep) await rm(work, { recursive: true });
  }
}

async function benchIndex(work: string, { images, shards }: Options): Promise<void> {
  const folder = await fresh(work, 'small');
  const small = await Promise.all(
    Array.from({ length: 64 }, (_, i) =>
      sharp({ create: { width: 16, height: 16, channels: 3, background: { r: 4 * i, g: 99, b: 255 - i } } })
        .jpeg()
        .toBuffer(),
    ),
  );
  // As many samples a shard as make that number of shards.
  const sampleBytes = 2 * 512 + 512 + 512 * Math.ceil(small[0]!.length / 512);
  const writer = new ShardWriter(folder, Math.ceil(images / shards) * sampleBytes + 1024);
  for (let i = 0; i < images; i++) {
    const key = `n${String(i % 1000).padStart(8, '0')}/${String(i).padStart(8, '0')}`;
    await writer.add(key, [
      ['cls', Buffer.from(String(i % 1000))],
      ['jpg', small[i % small.length]!],
    ]);
  }
  await writer.end();
  const rows = [['small images', 'shards', 'opened', 's', 'MB at most']];
  const cache = await fresh(work, 'cache');
  for (const time of ['first', 'second', 'third']) {
    const { count, seconds, megabytes } = inProcess<OpenResult>('open', folder, cache);
    rows.push([String(count), String(writer.shards), time, seconds.toFixed(2), megabytes.toFixed(0)]);
  }
  console.log(formatTable(rows));
}

async function benchReading(work: string, { workers }: Options): Promise<void> {
  const folder = await fresh(work, 'photographs');
  await photographs(folder, 4096);
  const shards = join(work, 'packed');
  await rm(shards, { recursive: true, force: true });
  const cache = await fresh(work, 'cache');
  await packShards(folder, shards, { cacheDirectory: cache, shardBytes: 1e6 * (4096 / 200) });
  const speeds: Record<string, number[]> = { files: [], shards: [] };
  for (let round = 0; round < 3; round++) {
    for (const [name, source] of Object.entries({ files: folder, shards })) {
      const { imagesPerSecond } = inProcess<LoadResult>('load', source, cache, String(workers), '150');
      speeds[name]!.push(imagesPerSecond);
    }
  }
  const [files, tars] = [median(speeds.files!), median(speeds.shards!)];
  console.log(
    formatTable([
      ['two views of 224, JPEG of 500x375', 'images/s'],
      ['files', files.toFixed(0)],
      ['shards', tars.toFixed(0)],
      ['ratio', (tars / files).toFixed(2)],
    ]),
  );
}

async function benchMemory(work: string, { gigabytes, workers }: Options): Promise<void> {
  const folder = join(work, 'large');
  const cache = join(work, 'large-cache');
  if (!(await readFile(join(folder, 'complete')).catch(() => null))) {
    await fresh(work, 'large');
    const source = await fresh(work, 'photographs');
    const files = await Promise.all((await photographs(source, 64)).map((path) => readFile(path)));
    const writer = new ShardWriter(folder, 256e6);
    for (let i = 0; writer.bytes < gigabytes * 1e9; i++) {
      await writer.add(String(i).padStart(8, '0'), [['jpg', files[i % files.length]!]]);
    }
    await writer.end();
    await writeFile(join(folder, 'complete'), '');
  }
  const { count, batches } = inProcess<LoadResult>('load', folder, cache, String(workers), '1500');
  console.log(`${count} images in shards of ${gigabytes} GB, resident memory while they are read:`);
  console.log(
    formatTable([
      ['images read', 'images/s', 'MB'],
      ...batches.map(({ images, imagesPerSecond, megabytes }) => [
        ...[String(images), imagesPerSecond.toFixed(0), megabytes.toFixed(0)],
      ]),
    ]),
  );
}

/** A process of its own, whose memory is that of the job alone. */
function inProcess<Result>(...args: string[]): Result {
  const script = fileURLToPath(new URL('./dataProcess.js', import.meta.url));
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Result;
}

async function fresh(work: string, name: string): Promise<string> {
  const folder = join(work, name);
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  return folder;
}

/** So many JPEG files of 500x375; there are 64 different ones. */
async function photographs(folder: string, count: number): Promise<string[]> {
  const paths = await writePhotographs(
    await openSource('cifar10', { limit: 640 }),
    folder,
    Math.min(64, count),
  );
  const files = await Promise.all(paths.map((path) => readFile(path)));
  for (let i = files.length; i < count; i++) {
    paths.push(join(folder, `${i}.jpg`));
    await writeFile(paths[i]!, files[i % files.length]!);
  }
  return paths;
}
