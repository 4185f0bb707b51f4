import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { formatTable } from '../../src/cli/table.js';
import { augmentationSchema, viewAugmentations } from '../../src/config/augmentation.js';
import { configSchema } from '../../src/config/schema.js';
import { decodeImage } from '../../src/data/imageDecoder.js';
import { ViewLoader } from '../../src/data/loader.js';
import { openSource } from '../../src/data/source.js';
import { PillowRival, type RivalSettings } from './pillow/rival.js';
import { writePacked, writePhotographs } from './pillow/testImages.js';
import { median } from './median.js';

interface Options {
  readonly python: string;
  readonly workers: readonly number[];
  readonly blur: 'torchvision' | 'pillow';
  readonly rounds: number;
}

/** One comparison: the same images, views and batches for both sides. */
interface Case {
  readonly name: string;
  /** As `openSource` takes it. */
  readonly source: string;
  readonly limit: number;
  readonly blurProbability: number;
  readonly rival: Omit<RivalSettings, 'mean' | 'std' | 'workers' | 'skip'>;
  /** Batches that our side is timed on. */
  readonly steps: number;
}

/** Medians of one side. */
interface Speed {
  /** Each gives two views. */
  readonly imagesPerSecond: number;
  /** Of all threads and processes, milliseconds for one image. */
  readonly processorTime: number;
}

interface Result {
  readonly name: string;
  readonly workers: number;
  readonly ours: Speed;
  readonly theirs: Speed;
}

const { mean, std } = configSchema.parse({}).data;
const photographs = 64;
const cifarImages = 2560;

/**
 * Two augmented views of each image, images per second, against torchvision's transforms on PIL images in as many
 * workers: medians of rounds in which both sides take turns. Decoding alone is timed too, as it bounds the ratio.
 */
export async function benchAugment(args: string[]): Promise<void> {
  const options = parse(args);
  const work = await mkdtemp(join(tmpdir(), 'slimclr-bench-'));
  try {
    const cifar = await openSource('cifar10', { limit: cifarImages });
    const packed = join(work, 'packed');
    await writePacked(cifar, packed);
    const files = await writePhotographs(cifar, await mkdtemp(join(work, 'jpeg-')), photographs);
    const cases: Case[] = [
      {
        name: 'JPEG 500x375 to 224x224',
        ...{ source: join(files[0]!, '..'), limit: 0, blurProbability: 0.5, steps: 40 },
        rival: { files, packed: null, repeat: 3, size: 224, blur: options.blur, batchSize: 16 },
      },
      {
        name: 'memory 32x32, no blur',
        ...{ source: 'cifar10', limit: cifarImages, blurProbability: 0, steps: 160 },
        rival: { files: null, packed, repeat: 1, size: 32, blur: 'none', batchSize: 128 },
      },
    ];
    const results: Result[] = [];
    for (const one of cases) {
      for (const workers of options.workers) {
        const result = await compare(one, workers, options);
        results.push(result);
        console.log(formatResult(result));
      }
    }
    console.log(formatResults(results));
    const decoding = await decodeMilliseconds(files);
    console.log(`decoding alone, one JPEG at a time: ${decoding.toFixed(2)} ms of processor time an image`);
  } finally {
    await rm(work, { recursive: true });
  }
}

async function compare(one: Case, workers: number, { python, rounds }: Options): Promise<Result> {
  const { batchSize, size } = one.rival;
  const skip = 2 * workers + 1;
  const rival = new PillowRival(python, { ...one.rival, mean, std, workers, skip });
  const blur = { probability: one.blurProbability };
  const loader = await ViewLoader.open({
    ...{ source: one.source, limit: one.limit, seed: 0, batchSize, imageSize: size, mean, std, workers },
    augmentations: viewAugmentations(augmentationSchema.parse({ blur })),
  });
  try {
    const images = one.rival.files?.length ?? one.limit;
    const theirSteps = Math.floor((images * one.rival.repeat) / batchSize) - skip;
    const theirImages = theirSteps * batchSize;
    const ourImages = one.steps * batchSize;
    const ours: Speed[] = [];
    const theirs: Speed[] = [];
    let step = 0;
    const next = async () => {
      const epoch = Math.floor(step / loader.stepsPerEpoch);
      loader.recycle(await loader.batch(epoch, step++ % loader.stepsPerEpoch));
    };
    // The first round starts the workers and compiles.
    for (let round = 0; round <= rounds; round++) {
      const { seconds, processorSeconds } = await rival.epoch();
      for (let i = 0; i < skip; i++) await next();
      const before = process.cpuUsage();
      const start = performance.now();
      for (let i = 0; i < one.steps; i++) await next();
      const elapsed = performance.now() - start;
      const { user, system } = process.cpuUsage(before);
      if (round === 0) continue;
      const processorTime = (user + system) / 1000 / ourImages;
      ours.push({ imagesPerSecond: (1000 * ourImages) / elapsed, processorTime });
      theirs.push({
        imagesPerSecond: theirImages / seconds,
        processorTime: (1000 * processorSeconds) / theirImages,
      });
    }
    return { name: one.name, workers, ours: medians(ours), theirs: medians(theirs) };
  } finally {
    rival.close();
    await loader.close();
  }
}

/** Processor time, which also counts what the decoder's threads do. */
async function decodeMilliseconds(files: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let round = 0; round < 7; round++) {
    const before = process.cpuUsage();
    for (const file of files) await decodeImage(file);
    const { user, system } = process.cpuUsage(before);
    times.push((user + system) / 1000 / files.length);
  }
  return median(times);
}

function formatResult({ name, workers, ours, theirs }: Result): string {
  const ratio = ours.imagesPerSecond / theirs.imagesPerSecond;
  return `${name}, workers ${workers}: ${ratio.toFixed(2)} times torchvision's images per second`;
}

function formatResults(results: readonly Result[]): string {
  const headings = [
    ...['images/s', 'workers', 'slimclr', 'torchvision', 'ratio'],
    ...['CPU ms/image', 'torchvision', 'ratio'],
  ];
  const rows = results.map(({ name, workers, ours, theirs }) => [
    ...[name, String(workers), ours.imagesPerSecond.toFixed(0), theirs.imagesPerSecond.toFixed(0)],
    (ours.imagesPerSecond / theirs.imagesPerSecond).toFixed(2),
    ...[ours.processorTime.toFixed(3), theirs.processorTime.toFixed(3)],
    (theirs.processorTime / ours.processorTime).toFixed(2),
  ]);
  return formatTable([headings, ...rows]);
}

function medians(speeds: readonly Speed[]): Speed {
  return {
    imagesPerSecond: median(speeds.map(({ imagesPerSecond }) => imagesPerSecond)),
    processorTime: median(speeds.map(({ processorTime }) => processorTime)),
  };
}

function parse(args: string[]): Options {
  const positive = (value: string): number => {
    if (/^[1-9]\d{0,2}$/.test(value)) return Number(value);
    throw new InvalidArgumentError('accepted: an integer from 1');
  };
  const defaults = [1, availableParallelism()];
  const list = (value: string, values: readonly number[]): readonly number[] =>
    values === defaults ? [positive(value)] : [...values, positive(value)];
  const blurs = new Option('--blur <name>', "the rival's blur: torchvision's, or Pillow's box filters");
  return new Command('npm run bench -- augment')
    .description("Speed of decoding and augmentation against torchvision's transforms on PIL images.")
    .option('--python <path>', 'a Python that has torchvision and pillow', 'python3')
    .option('--workers <n...>', 'numbers of workers of each side', list, defaults)
    .addOption(blurs.choices(['torchvision', 'pillow']).default('torchvision'))
    .option('--rounds <n>', 'rounds of each case', positive, 5)
    .exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
    .parse(args, { from: 'user' })
    .opts<Options>();
}
