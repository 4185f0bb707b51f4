import { mkdtemp, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { expect } from 'chai';
import sharp, { type SharpOptions } from 'sharp';
import { augmentationSchema, viewAugmentations } from '../../src/config/augmentation.js';
import { sampleView } from '../../src/data/augmentation.js';
import { evaluationBatches } from '../../src/data/evaluationBatches.js';
import { shuffledPositions } from '../../src/data/batchOrder.js';
import { epochOrder } from '../../src/data/batchOrder.js';
import { ViewLoader, type LoaderOptions, type ViewBatch } from '../../src/data/loader.js';
import { openSource } from '../../src/data/source.js';
import { ImageTransform } from '../../src/data/transform.js';
import { Random } from '../../src/random.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

const mean = [0.4914, 0.4822, 0.4465] as const;
const std = [0.247, 0.2435, 0.2616] as const;
const perView = viewAugmentations(
  augmentationSchema.parse({ blur: { probability: [0, 1] }, solarize: [0, 0.5], grayscale: 0.3 }),
);

const options: LoaderOptions = {
  source: 'cifar10',
  limit: 100,
  seed: 7,
  batchSize: 16,
  imageSize: 32,
  mean,
  std,
  augmentations: perView,
  workers: 1,
};

/** Run `use` with a loader that is closed afterwards. */
async function withLoader<T>(
  changes: Partial<LoaderOptions>,
  use: (loader: ViewLoader) => Promise<T>,
): Promise<T> {
  const loader = await ViewLoader.open({ ...options, ...changes });
  try {
    return await use(loader);
  } finally {
    await loader.close();
  }
}

/** Batches of consecutive steps, from (epoch, step) on. */
async function collect(loader: ViewLoader, epoch: number, step: number, count: number): Promise<ViewBatch[]> {
  const batches: ViewBatch[] = [];
  for (let i = 0; i < count; i++) {
    const number = epoch * loader.stepsPerEpoch + step + i;
    const nextStep = number % loader.stepsPerEpoch;
    batches.push(await loader.batch((number - nextStep) / loader.stepsPerEpoch, nextStep));
  }
  return batches;
}

describe('epochOrder', () => {
  it('a permutation that depends on seed and epoch', () => {
    const order = epochOrder(1, 2, 1000);
    expect(Array.from(order).sort((a, b) => a - b)).to.deep.equal(Array.from({ length: 1000 }, (_, i) => i));
    expect(order).to.deep.equal(epochOrder(1, 2, 1000));
    expect(order).not.to.deep.equal(epochOrder(1, 3, 1000));
    expect(order).not.to.deep.equal(epochOrder(2, 2, 1000));
  });
});

describe('ViewLoader', function () {
  this.timeout(120_000);

  it('a source that is open already: the same batches as by its name', async () => {
    const source = await openSource('cifar10', { limit: 100, seed: 7 });
    const [byName, opened] = await Promise.all(
      ['cifar10', source].map((from) => withLoader({ source: from }, (loader) => loader.batch(0, 0))),
    );
    expect(opened!.views[0]).to.deep.equal(byName!.views[0]);
  });

  it('a batch holds the two views that (seed, epoch, index, view) name', async () => {
    const source = await openSource('cifar10', { limit: 100, seed: 7 });
    const batch = await withLoader({}, (loader) => loader.batch(3, 2));
    expect(batch).to.include({ epoch: 3, step: 2 });
    expect(batch.indices).to.deep.equal(epochOrder(7, 3, 100).slice(32, 48));
    const transform = new ImageTransform(32, mean, std);
    for (const view of [0, 1] as const) {
      const expected = new Float32Array(16 * 3072);
      for (let n = 0; n < 16; n++) {
        const index = batch.indices[n]!;
        const config = options.augmentations[view];
        const parameters = sampleView(config, 32, 32, new Random(7, 3, index, view));
        transform.view(await source.read(index), parameters, expected, n * 3072);
      }
      expect(Buffer.from(batch.views[view].buffer).equals(Buffer.from(expected.buffer)), `view ${view}`).to.be
        .true;
    }
    expect(batch.views[0]).not.to.deep.equal(batch.views[1]);
  });

  it('labels: those of the images, in the order of the batch', async () => {
    const source = await openSource('cifar10', { limit: 100, seed: 7 });
    await withLoader({}, async (loader) => {
      expect(loader.classes).to.deep.equal(source.classes);
      const { indices, labels } = await loader.batch(1, 4);
      expect(Array.from(labels!)).to.deep.equal(Array.from(indices, (index) => source.labels![index]));
      expect(new Set(labels).size).to.be.above(1);
    });
  });

  it('1 worker, 3 workers with other prefetching, and a start in the middle: the same bits', async () => {
    const one = await withLoader({}, (loader) => {
      expect(loader).to.include({ length: 100, stepsPerEpoch: 6 });
      return collect(loader, 0, 0, 14);
    });
    const three = await withLoader({ workers: 3, prefetch: 5 }, (loader) => collect(loader, 0, 0, 14));
    const late = await withLoader({ workers: 2, prefetch: 0 }, (loader) => collect(loader, 1, 3, 5));
    expect(three).to.deep.equal(one);
    expect(late).to.deep.equal(one.slice(9));
    expect(one[5]!).to.include({ epoch: 0, step: 5 });
    expect(one[6]!).to.include({ epoch: 1, step: 0 });
    const seen = one.slice(0, 6).flatMap(({ indices }) => Array.from(indices));
    expect(new Set(seen).size, 'an epoch visits no image twice').to.equal(96);
  });

  it('recycled memory is used again and does not change the results', async () => {
    await withLoader({ workers: 2 }, async (loader) => {
      const kept = await collect(loader, 0, 0, 12);
      await withLoader({ workers: 2 }, async (other) => {
        for (const expected of kept) {
          const batch = await other.batch(expected.epoch, expected.step);
          expect(batch).to.deep.equal(expected);
          other.recycle(batch);
          other.recycle(batch);
        }
      });
    });
  });

  it('jumping to another step drops what was prepared and gives that step', async () => {
    await withLoader({ workers: 2, prefetch: 3 }, async (loader) => {
      const first = await loader.batch(0, 0);
      const jumped = await loader.batch(2, 1);
      expect(jumped.indices).to.deep.equal(epochOrder(7, 2, 100).slice(16, 32));
      expect(await loader.batch(0, 0)).to.deep.equal(first);
    });
  });

  describe('view 2 of other images than view 1', () => {
    /** Of 12 batches of 8 an epoch has 3 steps of 4. */
    const shuffling = { batchSize: 8, accumulation: 4, shuffled: true };

    it('the images of a step, each with the views that it has elsewhere, for any number of workers', async () => {
      const plain = await withLoader({ batchSize: 8 }, (loader) => collect(loader, 0, 0, 12));
      const [one, three] = [
        await withLoader(shuffling, (loader) => collect(loader, 0, 0, 12)),
        await withLoader({ ...shuffling, workers: 3, prefetch: 7 }, (loader) => collect(loader, 0, 0, 12)),
      ];
      expect(three).to.deep.equal(one);
      const rowOf = (batches: readonly ViewBatch[], position: number, view: 0 | 1) => {
        const at = (position % 8) * 3072;
        return batches[Math.floor(position / 8)]!.views[view].subarray(at, at + 3072);
      };
      for (const step of [0, 1, 2]) {
        const [own, expected] = [one, plain].map((batches) => batches.slice(4 * step, 4 * step + 4));
        const positions = own!.flatMap(({ shuffled }) => [...shuffled!]);
        expect(positions).to.deep.equal([...shuffledPositions(7, step, 32)]);
        for (const [row, position] of positions.entries()) {
          expect(own![row >> 3]!.indices).to.deep.equal(expected![row >> 3]!.indices);
          expect(rowOf(own!, row, 0)).to.deep.equal(rowOf(expected!, row, 0));
          expect(rowOf(own!, row, 1)).to.deep.equal(rowOf(expected!, position, 1));
        }
      }
      expect(plain.every(({ shuffled }) => shuffled === null)).to.equal(true);
    });

    it('a part of every step, of both orders: the batches of that part, and from the middle of training on', async () => {
      for (const shuffled of [true, false]) {
        const all = await withLoader({ ...shuffling, shuffled }, async (loader) => [
          ...(await collect(loader, 0, 0, 12)),
          ...(await collect(loader, 1, 0, 12)),
        ]);
        for (const rank of [0, 1]) {
          const share = { rank, size: 2 };
          const expected = all.filter((_, i) => Math.floor((i % 4) / 2) === rank);
          const parts: ViewBatch[] = [];
          await withLoader({ ...shuffling, shuffled, share, prefetch: 3 }, async (loader) => {
            for (const { epoch, step } of expected.slice(4)) parts.push(await loader.batch(epoch, step));
          });
          expect(parts).to.deep.equal(expected.slice(4));
        }
      }
    });

    it('memory that is used again and a jump back change nothing', async () => {
      await withLoader({ ...shuffling, workers: 2, prefetch: 5 }, async (loader) => {
        const first = await loader.batch(0, 1);
        const kept = { ...first, views: first.views.map((view) => view.slice()) };
        loader.recycle(first);
        for (let i = 2; i < 7; i++) loader.recycle(await loader.batch(0, i));
        expect(await loader.batch(0, 1)).to.deep.equal(kept);
      });
    });
  });

  it('a worker that stops: pending and later batches are rejected with the reason', async () => {
    const workers: Worker[] = [];
    const remember = (worker: Worker) => void workers.push(worker);
    process.on('worker', remember);
    try {
      await withLoader({ workers: 2, batchSize: 100 }, async (loader) => {
        const pending = loader.batch(0, 0);
        // Node tells of new workers in the next turn.
        await setImmediate();
        await workers[0]!.terminate();
        expect((await rejection(pending)).message).to.match(/^image loading failed: a worker thread stopped/);
        expect((await rejection(loader.batch(5, 0))).message).to.match(/^image loading failed/);
      });
    } finally {
      process.off('worker', remember);
    }
  });

  it('an error inside a worker names epoch, step and cause', async () => {
    // A bad config is the shortest way to make the worker fail.
    const broken = { ...perView[0], cropScale: undefined as never };
    await withLoader({ augmentations: [broken, perView[1]] }, async (loader) => {
      const error = await rejection(loader.batch(1, 2));
      expect(error.message).to.match(/^image loading failed in epoch 1, step 2: .*iterable/);
      expect(error.cause).to.be.instanceOf(Error);
    });
  });

  it('closing rejects what is still awaited', async () => {
    const loader = await ViewLoader.open(options);
    const pending = loader.batch(0, 0);
    await loader.close();
    expect((await rejection(pending)).message).to.equal('the image loader was closed');
  });

  describe('on a folder of JPEG files', () => {
    let folder: string;
    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'slimclr-loader-'));
      for (let i = 0; i < 10; i++) {
        const noise = { type: 'gaussian', mean: 100 + 5 * i, sigma: 30 };
        const create = { width: 60 + i, height: 50, channels: 3, noise };
        await sharp({ create } as SharpOptions)
          .jpeg()
          .toFile(join(folder, `${i}.jpg`));
      }
      await truncate(join(folder, '4.jpg'), 900);
    });
    after(() => removeFolder(folder));

    it('a damaged file is replaced by the next, the same way every time, and reported', async () => {
      const run = (workers: number) =>
        withLoader({ source: folder, limit: 0, batchSize: 5, workers }, async (loader) => ({
          batches: await collect(loader, 0, 0, 4),
          skipped: loader.skipped,
        }));
      const one = await run(1);
      const two = await run(2);
      expect(two.batches).to.deep.equal(one.batches);
      expect(one.batches[0]!.labels, 'a folder without classes').to.equal(null);
      expect(one.skipped.map(({ path }) => path)).to.deep.equal(['4.jpg']);
      expect(two.skipped.map(({ path }) => path)).to.deep.equal(['4.jpg']);
    });

    it('a batch of files holds the two views of the images that the source reads', async () => {
      const source = await openSource(folder);
      const changes = { source: folder, limit: 0, batchSize: 10, imageSize: 24 };
      const batch = await withLoader(changes, (loader) => loader.batch(1, 0));
      const transform = new ImageTransform(24, mean, std);
      const expected = new Float32Array(3 * 24 * 24);
      for (const [n, index] of batch.indices.entries()) {
        const image = await source.read(index);
        for (const view of [0, 1] as const) {
          const random = new Random(7, 1, index, view);
          transform.view(image, sampleView(perView[view], image.width, image.height, random), expected, 0);
          const actual = batch.views[view].subarray(n * expected.length, (n + 1) * expected.length);
          expect(
            Buffer.from(Float32Array.from(actual).buffer).equals(Buffer.from(expected.buffer)),
            `image ${index}, view ${view}`,
          ).to.be.true;
        }
      }
    });

    it('evaluation: all images in order, the last batch smaller, values from the centre', async () => {
      const source = await openSource(folder);
      const counts: number[][] = [];
      const images: number[] = [];
      for await (const batch of evaluationBatches(source, { imageSize: 32, mean, std, batchSize: 4 })) {
        counts.push([batch.start, batch.count]);
        for (let n = 0; n < batch.count; n++) {
          const red = batch.images.subarray(n * 3072, n * 3072 + 1024);
          images.push(red.reduce((sum, value) => sum + value, 0) / 1024);
        }
      }
      expect(counts).to.deep.equal([
        [0, 4],
        [4, 4],
        [8, 2],
      ]);
      images.forEach((value, i) => {
        // 4.jpg is damaged: 5.jpg stands in.
        const brightness = 100 + 5 * (i === 4 ? 5 : i);
        expect(value, `image ${i}`).to.be.closeTo((brightness / 255 - mean[0]) / std[0], 0.06);
      });
    });
  });
});
