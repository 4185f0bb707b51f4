/**
 * Speed of decoding and augmentation: `node dist/tools/bench/augment.js [workers...]`. Views per second of
 * wall time that a training step would see, medians over epochs.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { augmentationSchema, configSchema } from '../../src/config/schema.js';
import { sampleView } from '../../src/data/augmentation.js';
import { ViewLoader } from '../../src/data/loader.js';
import { openSource } from '../../src/data/source.js';
import { ImageTransform } from '../../src/data/transform.js';
import { Random } from '../../src/random.js';

const { mean, std } = configSchema.parse({}).data;
const noBlur = augmentationSchema.parse({ blur: { probability: 0 } });
const full = augmentationSchema.parse({});

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

function print(what: string, viewsPerSecond: number): void {
  console.log(`${what.padEnd(56)} ${viewsPerSecond.toFixed(0).padStart(8)} views/s`);
}

/** Augmentation alone, in this thread, of images in memory. */
async function benchTransform(what: string, augmentation: typeof full): Promise<void> {
  const source = await openSource('cifar10', { limit: 1000 });
  const transform = new ImageTransform(32, mean, std);
  const out = new Float32Array(3072);
  const rates: number[] = [];
  for (let epoch = 0; epoch < 7; epoch++) {
    const start = performance.now();
    for (let index = 0; index < source.length; index++) {
      const image = await source.read(index);
      const random = new Random(0, epoch, index, 0);
      transform.view(image, sampleView(augmentation, image.width, image.height, random), out, 0);
    }
    rates.push((1000 * source.length) / (performance.now() - start));
  }
  print(`${what}, one thread, no loader`, median(rates));
}

async function benchLoader(
  what: string,
  options: { source: string; limit: number; imageSize: number; batchSize: number; workers: number },
  augmentation: typeof full,
): Promise<void> {
  const augmentations = [augmentation, augmentation] as const;
  const loader = await ViewLoader.open({ ...options, seed: 0, mean, std, augmentations });
  try {
    const rates: number[] = [];
    // The first epoch starts the workers and compiles.
    for (let epoch = 0; epoch < 6; epoch++) {
      const start = performance.now();
      for (let step = 0; step < loader.stepsPerEpoch; step++) loader.recycle(await loader.batch(epoch, step));
      const views = 2 * options.batchSize * loader.stepsPerEpoch;
      if (epoch > 0) rates.push((1000 * views) / (performance.now() - start));
    }
    print(`${what}, loader with ${options.workers} workers`, median(rates));
  } finally {
    await loader.close();
  }
}

/** Photographs stand-ins: CIFAR-10 images enlarged to 500 x 375, JPEG quality 90. */
async function writeJpegs(folder: string, count: number): Promise<void> {
  const source = await openSource('cifar10', { limit: count });
  for (let index = 0; index < count; index++) {
    const { data, width, height } = await source.read(index);
    await sharp(data, { raw: { width, height, channels: 3 } })
      .resize(500, 375, { fit: 'fill' })
      .jpeg({ quality: 90 })
      .toFile(join(folder, `${index}.jpg`));
  }
}

const workerCounts =
  process.argv.length > 2 ? process.argv.slice(2).map(Number) : [1, availableParallelism()];
await benchTransform('CIFAR-10 32x32 without blur', noBlur);
await benchTransform('CIFAR-10 32x32 with blur', full);
const folder = await mkdtemp(join(tmpdir(), 'slimclr-bench-'));
try {
  await writeJpegs(folder, 64);
  for (const workers of workerCounts) {
    const cifar = { source: 'cifar10', limit: 5120, imageSize: 32, batchSize: 128, workers };
    await benchLoader('CIFAR-10 32x32 without blur', cifar, noBlur);
    const jpeg = { source: folder, limit: 0, imageSize: 224, batchSize: 16, workers };
    await benchLoader('JPEG 500x375 to 224x224 with blur', jpeg, full);
  }
} finally {
  await rm(folder, { recursive: true });
}
