import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { configSchema } from '../../src/config/schema.js';
import { viewAugmentations } from '../../src/config/augmentation.js';
import { epochLength, weightedOrder } from '../../src/data/batchOrder.js';
import { ViewLoader } from '../../src/data/loader.js';
import { labelsOf } from '../../src/data/fileLabels.js';
import { decodeFile } from '../../src/data/imageDecoder.js';
import { encodedFile } from '../../src/data/imageStore.js';
import { readLabelFile } from '../../src/data/labelFile.js';
import { openSource, subset, type DatasetSplit } from '../../src/data/source.js';
import { heldOutImages } from '../../src/data/validationSplit.js';
import { labelled } from '../../src/evaluation/labelledImages.js';
import { rejection } from '../support/rejection.js';
import { writeImages } from './parquet/writeImages.js';
import { removeFolder } from '../support/removeFolder.js';

describe('several sources with weights', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-mix-'));
    const png = await sharp({ create: { width: 8, height: 8, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    for (const [name, count] of [
      ['a/cat', 4],
      ['a/dog', 2],
      ['b/ant', 2],
      ['b/cat', 2],
    ] as const) {
      mkdirSync(join(folder, name), { recursive: true });
      for (let i = 0; i < count; i++) writeFileSync(join(folder, name, `${i}.png`), png);
    }
    writeImages(join(folder, 'c.parquet'), { images: [png, png] });
  });
  after(() => removeFolder(folder));

  const open = (mix: unknown, limit = 0, split: DatasetSplit = 'train') => {
    writeFileSync(join(folder, 'mix.json'), JSON.stringify(mix));
    return openSource(join(folder, 'mix.json'), { limit, split });
  };
  const weighted = [{ source: 'a', weight: 2.5 }, { source: 'b', weight: 0.5 }, 'c.parquet'];

  it('one after the other; classes by their names, those of the first source first', async () => {
    const source = await open(['a', 'b', 'c.parquet']);
    expect(source.classes).to.deep.equal(['cat', 'dog', 'ant']);
    expect([...source.labels!]).to.deep.equal([0, 0, 0, 0, 1, 1, 2, 2, 0, 0, -1, -1]);
    expect([source.nameOf(7), source.nameOf(11)]).to.deep.equal(['b/ant/1.png', 'c.parquet/1']);
    for (let i = 0; i < 12; i++) expect((await source.read(i)).width).to.equal(8);
    expect(source.weights).to.equal(undefined);
    expect((await open(['a', 'b'], 3)).length).to.equal(3);
  });

  it('weights: how often an image comes in an epoch; what is no whole number is drawn by epoch', async () => {
    const source = await open(weighted);
    const { weights } = source;
    expect(epochLength(source)).to.equal(2 * 6 + 3 + 2 + 2);
    const counted = (epoch: number) => {
      const counts = new Array<number>(12).fill(0);
      for (const visit of weightedOrder(7, epoch, weights!)) counts[visit % 12]! += 1;
      return counts;
    };
    const epochs = Array.from({ length: 8 }, (_, epoch) => counted(epoch));
    for (const counts of epochs) {
      expect(counts.reduce((sum, count) => sum + count)).to.equal(19);
      expect(counts.slice(0, 6).sort()).to.deep.equal([2, 2, 2, 3, 3, 3]);
      expect(counts.slice(6, 10).sort()).to.deep.equal([0, 0, 1, 1]);
      expect(counts.slice(10)).to.deep.equal([1, 1]);
    }
    expect(new Set(epochs.map((counts) => counts.join())).size).to.be.greaterThan(4);
    expect([...weightedOrder(7, 3, weights!)]).to.deep.equal([...weightedOrder(7, 3, weights!)]);
    expect(new Set(weightedOrder(7, 3, weights!)).size).to.equal(19);
  });

  it('batches: real indices and labels; an image that comes again is augmented in another way', async () => {
    const source = await open(weighted);
    const { augmentation, data } = configSchema.parse({});
    const loader = new ViewLoader(source, {
      ...{ seed: 7, batchSize: 19, imageSize: 8, mean: data.mean, std: data.std, workers: 1 },
      augmentations: viewAugmentations(augmentation),
    });
    try {
      expect(loader.stepsPerEpoch).to.equal(1);
      const { indices, labels, views } = await loader.batch(3, 0);
      expect([...indices]).to.deep.equal(Array.from(weightedOrder(7, 3, source.weights!), (i) => i % 12));
      expect([...labels!]).to.deep.equal(Array.from(indices, (i) => source.labels![i]));
      const rows = [...indices.keys()].filter((row) => indices[row] === 0);
      const texts = rows.map((row) => views[0].slice(row * 192, (row + 1) * 192).join());
      expect([rows.length > 1, new Set(texts).size]).to.deep.equal([true, rows.length]);
    } finally {
      await loader.close();
    }
  });

  it('a subset has its weights; the fingerprint is of sources and weights', async () => {
    const source = await open(weighted);
    expect([...subset(source, Uint32Array.of(7, 0, 11)).weights!]).to.deep.equal([0.5, 2.5, 1]);
    const others = [await open(['a', 'b', 'c.parquet']), await open(['b', 'a', 'c.parquet'])];
    expect(new Set([source, ...others].map(({ fingerprint }) => fingerprint)).size).to.equal(3);
    expect((await open(weighted)).fingerprint).to.equal(source.fingerprint);
  });

  it('a data set is one of them: its numbers and labels, its pixels in loader threads, its files as PNG', async () => {
    const source = await open(['b', { source: 'mnist', weight: 0.01 }], 0, 'test');
    const mnist = await openSource('mnist', { split: 'test' });
    expect([source.length, source.classes!.slice(0, 4)]).to.deep.equal([10_004, ['ant', 'cat', '0', '1']]);
    expect([source.nameOf(4), source.labels![4], source.weights![4]]).to.deep.equal([
      ...['mnist/0', mnist.labels![0]! + 2, Math.fround(0.01)],
    ]);
    expect((await source.read(10)).data).to.deep.equal((await mnist.read(6)).data);
    const file = await decodeFile(await encodedFile(source.store, 10));
    expect(file.data).to.deep.equal(Buffer.from((await mnist.read(6)).data));
    const { augmentation, data } = configSchema.parse({});
    const batches = [];
    for (const workers of [1, 2]) {
      const loader = new ViewLoader(source, {
        ...{ seed: 7, batchSize: 52, imageSize: 8, mean: data.mean, std: data.std, workers },
        augmentations: viewAugmentations(augmentation),
      });
      expect(loader.stepsPerEpoch).to.equal(2);
      batches.push(await loader.batch(0, 1));
      await loader.close();
    }
    expect(batches[0]!.views).to.deep.equal(batches[1]!.views);
    expect(batches[0]!.indices.filter((index) => index >= 4).length).to.be.greaterThan(45);
  });

  it('an image of two sources is there once, with the sum of the weights and the first class', async () => {
    writeFileSync(join(folder, 'some.txt'), 'a/cat/1.png\nb/ant/0.png ape\nc.parquet\n');
    const mix = ['a', { source: 'some.txt', weight: 3 }, { source: join(folder, 'a'), weight: 2 }];
    const source = await open(mix);
    expect(Array.from(source.labels!.keys(), (i) => source.nameOf(i))).to.deep.equal([
      ...['a/cat/0.png', 'a/cat/1.png', 'a/cat/2.png', 'a/cat/3.png', 'a/dog/0.png', 'a/dog/1.png'],
      'b/ant/0.png',
    ]);
    expect([...source.weights!]).to.deep.equal([3, 6, 3, 3, 3, 3, 3]);
    expect([...source.labels!]).to.deep.equal([0, 0, 0, 0, 1, 1, 2]);
    expect(source.notices.at(-1)).to.match(/mix\.json: 6 images of more than one source, which count once/);
  });

  it('held-out images and labels of a file are those of before where all of it is moved', async () => {
    writeFileSync(join(folder, 'labels.csv'), 'a/cat/0.png,x\nb/cat/1.png,y\nc.parquet/1,x\n');
    const opened = async (root: string) => {
      const source = await openSource(join(root, 'mix.json'));
      const held = Array.from(heldOutImages(source, 0.4, 1), (index) => source.nameOf(index));
      const labels = await readLabelFile(join(folder, 'labels.csv'));
      return { held, labels: labelsOf(source, labels, { isWhole: true })! };
    };
    await open(weighted);
    const before = await opened(folder);
    expect([before.held.length, before.labels.found]).to.deep.equal([4, 1]);
    cpSync(folder, `${folder}-moved`, { recursive: true });
    try {
      expect((await opened(`${folder}-moved`)).held).to.deep.equal(before.held);
    } finally {
      await rm(`${folder}-moved`, { recursive: true });
    }
  });

  it('evaluations count each image once', async () => {
    const source = labelled(await open(weighted));
    expect([source.length, source.weights]).to.deep.equal([10, undefined]);
  });

  it('wrong usage, one line each', async () => {
    const message = async (mix: unknown) => (await rejection(open(mix))).message;
    for (const mix of [[], {}, [{ source: 'a', weight: 0 }], [{ source: 'a', weigth: 1 }], [1]]) {
      expect(await message(mix)).to.match(
        /^the sources of .*mix\.json cannot be read \(.*\); accepted: \[[^\n]+$/,
      );
    }
    expect(await message(['other.json'])).to.match(
      /names other\.json; accepted: data sets, folders, lists, Parquet files and shards/,
    );
    expect(await message([{ source: 'a', weight: -1 }])).to.match(
      /\(\[0\]\.weight is -1\); accepted: .*above 0, at most 100$/,
    );
    expect(await message(['nowhere'])).to.match(/nowhere does not exist/);
  });
});
