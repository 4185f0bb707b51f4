/** Process of `data.ts`: opens a source, or loads batches of it, and writes what it took as JSON. */
import { augmentationSchema, viewAugmentations } from '../../src/config/augmentation.js';
import { configSchema } from '../../src/config/schema.js';
import { ViewLoader } from '../../src/data/loader.js';
import { openSource } from '../../src/data/source.js';

export interface OpenResult {
  readonly count: number;
  readonly seconds: number;
  /** Largest resident memory of the process. */
  readonly megabytes: number;
}

export interface LoadResult {
  readonly count: number;
  readonly imagesPerSecond: number;
  /** At ten times, evenly spaced. */
  readonly batches: readonly {
    readonly images: number;
    readonly imagesPerSecond: number;
    readonly megabytes: number;
  }[];
}

const batchSize = 16;
const [job, name, cacheDirectory, workers, steps] = process.argv.slice(2);
const start = performance.now();
const source = await openSource(name!, { cacheDirectory: cacheDirectory! });
const count = source.length;
if (job === 'open') {
  const seconds = (performance.now() - start) / 1000;
  const megabytes = process.resourceUsage().maxRSS / 1024;
  console.log(JSON.stringify({ count, seconds, megabytes } satisfies OpenResult));
} else {
  const { mean, std } = configSchema.parse({}).data;
  const loader = new ViewLoader(source, {
    ...{ seed: 0, batchSize, imageSize: 224, mean, std, workers: Number(workers) },
    augmentations: viewAugmentations(augmentationSchema.parse({})),
  });
  const part = Math.ceil(Number(steps) / 10);
  const batches: LoadResult['batches'][number][] = [];
  // The first ones start the workers and compile.
  const warmUp = 2 * Number(workers) + 1;
  const begin = { time: 0, part: 0 };
  for (let step = 0; step < warmUp + 10 * part; step++) {
    if (step === warmUp) begin.time = begin.part = performance.now();
    const epoch = Math.floor(step / loader.stepsPerEpoch);
    loader.recycle(await loader.batch(epoch, step % loader.stepsPerEpoch));
    const done = step + 1 - warmUp;
    if (done <= 0 || done % part !== 0) continue;
    const now = performance.now();
    batches.push({
      images: done * batchSize,
      imagesPerSecond: (part * batchSize * 1000) / (now - begin.part),
      megabytes: process.memoryUsage.rss() / 2 ** 20,
    });
    begin.part = now;
  }
  const imagesPerSecond = (10 * part * batchSize * 1000) / (performance.now() - begin.time);
  await loader.close();
  console.log(JSON.stringify({ count, imagesPerSecond, batches } satisfies LoadResult));
}
