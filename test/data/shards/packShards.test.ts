import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { augmentationSchema, viewAugmentations } from '../../../src/config/augmentation.js';
import { encodedFile } from '../../../src/data/imageStore.js';
import { ViewLoader } from '../../../src/data/loader.js';
import { packShards, type PackOptions } from '../../../src/data/shards/packShards.js';
import { openSource, type ImageSource } from '../../../src/data/source.js';
import { webdatasetPython } from '../../support/pythons.js';
import { rejection } from '../../support/rejection.js';
import { slimclr } from '../../cli/slimclr.js';
import { removeFolder } from '../../support/removeFolder.js';

const webdataset = webdatasetPython();

describe('images packed into shards', () => {
  let work: string;
  let cacheDirectory: string;
  before(async () => {
    work = await mkdtemp(join(tmpdir(), 'slimclr-pack-'));
    cacheDirectory = join(work, 'cache');
    const paths = [
      'cat/a.v1.JPEG',
      'cat/a_v1.jpg',
      'cat/b.png',
      'dog/__c__.webp',
      `dog/${'long'.repeat(40)}.jpg`,
    ];
    for (const [i, path] of ['größe/1.jpg', ...paths, 'dog/named-wrongly.png'].entries()) {
      mkdirSync(dirname(join(work, 'images', path)), { recursive: true });
      const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const;
      const image = sharp({ create: { width: 40 + i, height: 60, channels: 3, background: 'red', noise } });
      const isJpeg = /jpe?g$/i.test(path) || path.includes('wrongly');
      const format = isJpeg ? image.jpeg() : path.endsWith('png') ? image.png() : image.webp();
      writeFileSync(join(work, 'images', path), await format.toBuffer());
    }
  });
  after(() => removeFolder(work));

  let outputs = 0;
  const pack = async (options: PackOptions = {}, source = join(work, 'images')) => {
    const output = join(work, `out-${outputs++}`);
    return { output, ...(await packShards(source, output, { cacheDirectory, ...options })) };
  };
  const open = (path: string) => openSource(path, { cacheDirectory });
  const files = (source: ImageSource) =>
    Promise.all(Array.from({ length: source.length }, (_, index) => encodedFile(source.store, index)));

  it('the same bytes, order and classes as in the folder; the same views, bit for bit', async () => {
    const { output, ...packed } = await pack({ shardBytes: 20_000 });
    expect(packed).to.deep.include({ images: 7, classes: ['cat', 'dog', 'größe'], skipped: [] });
    const [folder, shards] = [await open(join(work, 'images')), await open(output)];
    const names = readdirSync(output);
    expect(names).to.have.length(packed.shards + 1);
    expect(packed.shards).to.be.greaterThan(1);
    expect(names).to.include.members(['classes.json', 'shard-000000.tar']);
    expect(shards.classes).to.deep.equal(folder.classes);
    expect(shards.labels).to.deep.equal(folder.labels);
    expect(shards.skipped).to.deep.equal([]);
    expect(await files(shards)).to.deep.equal(await files(folder));

    const batches = async (source: ImageSource, workers: number) => {
      const { mean, std } = { mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] } as const;
      const augmentations = viewAugmentations(augmentationSchema.parse({}));
      const loader = new ViewLoader(source, {
        ...{ seed: 3, batchSize: 3, imageSize: 24, mean, std, augmentations, workers },
      });
      try {
        return [await loader.batch(0, 1), await loader.batch(1, 0)];
      } finally {
        await loader.close();
      }
    };
    expect(await batches(shards, 2)).to.deep.equal(await batches(folder, 1));
  });

  it('the same images give the same bytes, wherever and however often', async () => {
    const [one, two] = [await pack({ shardBytes: 20_000 }), await pack({ shardBytes: 20_000 })];
    const again = await pack({ shardBytes: 20_000 }, one.output);
    for (const name of readdirSync(one.output)) {
      const bytes = readFileSync(join(one.output, name));
      expect(readFileSync(join(two.output, name)).equals(bytes), name).to.equal(true);
      expect(readFileSync(join(again.output, name)).equals(bytes), name).to.equal(true);
    }
    expect((await open(one.output)).fingerprint).to.equal((await open(two.output)).fingerprint);
  });

  it('resized: the shorter side, never larger; JPEG stays JPEG, all else becomes PNG', async () => {
    const { output } = await pack({ resize: 43 });
    const shards = await open(output);
    const images = await Promise.all(Array.from({ length: 7 }, (_, index) => shards.read(index)));
    expect(images.map(({ width }) => width)).to.deep.equal([41, 42, 43, 43, 43, 43, 40]);
    expect(images.map(({ height }) => height)).to.deep.equal([60, 60, 60, 59, 57, 56, 60]);
    const extensions = Array.from({ length: 7 }, (_, index) => shards.nameOf(index).split('.').at(-1));
    expect(extensions).to.deep.equal(['jpg', 'jpg', 'png', 'png', 'jpg', 'jpg', 'jpg']);
  });

  it('16 bits stay 16 bits when resized', async () => {
    const pixels = Uint16Array.from({ length: 30 * 20 }, (_, i) => 257 + 97 * (i % 30));
    mkdirSync(join(work, 'deep'));
    const image = sharp(pixels, { raw: { width: 30, height: 20, channels: 1 } }).toColourspace('grey16');
    await image.png().toFile(join(work, 'deep', 'a.png'));
    const { output } = await pack({ resize: 10 }, join(work, 'deep'));
    const [file] = await files(await open(output));
    const { depth, width, height, channels } = await sharp(file).metadata();
    expect({ depth, width, height, channels }).to.deep.equal({
      ...{ depth: 'ushort', width: 15, height: 10, channels: 1 },
    });
  });

  it('images without a class have none in the shards', async () => {
    const list = join(work, 'list.txt');
    writeFileSync(
      list,
      ['images/cat/b.png\tcat', 'images/größe/1.jpg', 'images/dog/__c__.webp\tdog'].join('\n'),
    );
    const { output } = await pack({}, list);
    const shards = await open(output);
    expect(shards.classes).to.deep.equal(['cat', 'dog']);
    expect([...shards.labels!]).to.deep.equal([0, -1, 1]);
  });

  it('what cannot be decoded is left out and named where images are resized', async () => {
    const source = join(work, 'damaged');
    mkdirSync(source);
    const png = readFileSync(join(work, 'images/cat/b.png'));
    writeFileSync(join(source, 'a.png'), png);
    writeFileSync(join(source, 'b.png'), png.subarray(0, png.length / 2));
    for (const resize of [16, 1000]) {
      const { images, skipped } = await pack({ resize }, source);
      expect(images).to.equal(1);
      expect(skipped.map(({ path }) => path)).to.deep.equal(['b.png']);
    }
  });

  it('an output that holds something and a data set: refused; an end before the end leaves nothing', async () => {
    const source = join(work, 'images');
    const { output } = await pack();
    expect((await rejection(packShards(source, output))).message).to.equal(
      `${output} holds files; accepted: a folder that is empty or does not exist yet`,
    );
    expect((await rejection(pack({}, 'cifar10'))).message).to.match(
      /^cifar10 is a data set, not files; accepted: a folder of images, or shards$/,
    );
    // Before anything is read: a file, and an empty name, which stands for the folder one is in.
    for (const [path, reason] of [
      [join(output, 'classes.json'), /^cannot write shards to .*: ENOTDIR/],
      ['', /^ holds files; accepted: a folder that is empty/],
    ] as const) {
      expect((await rejection(packShards(join(work, 'none'), path))).message).to.match(reason);
    }
    const before = readdirSync(work).length;
    expect((await rejection(pack({ signal: AbortSignal.abort(new Error('enough')) }))).message).to.equal(
      'enough',
    );
    // What a process that was killed has left goes with the next one.
    mkdirSync(join(work, `out-${outputs}.partial-999999999`));
    await pack();
    expect(readdirSync(work)).to.have.length(before + 1);
  });

  it('an output that exists stays the folder it is, as a volume has to', async () => {
    const output = join(work, 'volume');
    mkdirSync(output);
    mkdirSync(join(output, '.shards.partial-999999999'));
    const { ino } = statSync(output);
    await packShards(join(work, 'images'), output, { cacheDirectory });
    expect(statSync(output).ino).to.equal(ino);
    expect(readdirSync(output)).to.deep.equal(['classes.json', 'shard-000000.tar']);
  });

  it('slimclr data pack, and data info of what it wrote', async () => {
    const output = join(work, 'by command');
    const run = ['data', 'pack', join(work, 'images'), '--output', output, '--shard-size', '0.02'];
    const packed = await slimclr(...run, '--cache', cacheDirectory);
    expect(packed.code, packed.stderr).to.equal(0);
    expect(packed.stdout).to.match(/^7 images of 3 classes in \d shards of .*by command \(0\.\d MB\)\n$/);
    const info = await slimclr('data', 'info', output, '--cache', cacheDirectory);
    expect(info.stdout)
      .to.match(/by command: 7 images\n/)
      .and.to.match(/\ngröße +1\n/);
  });

  (webdataset.missing ? it.skip : it)(
    `webdataset reads them: keys, classes, bytes, order${webdataset.missing}`,
    async () => {
      const { output, shards: count } = await pack({ shardBytes: 20_000 });
      const shards = await open(output);
      const script = `
import hashlib, json, sys, webdataset
samples = webdataset.WebDataset(sys.argv[1], shardshuffle=False)
rows = []
for sample in samples:
    [image] = [k for k in sample if k in ('jpg', 'png', 'webp')]
    rows.append([sample['__key__'] + '.' + image, int(sample['cls']), hashlib.sha256(sample[image]).hexdigest()])
print(json.dumps(rows))
`;
      const range = `shard-{000000..${String(count - 1).padStart(6, '0')}}.tar`;
      const { status, stdout, stderr } = spawnSync(webdataset.python, ['-c', script, join(output, range)], {
        encoding: 'utf8',
      });
      expect(status, stderr).to.equal(0);
      const rows = JSON.parse(stdout) as [string, number, string][];
      expect(rows.map(([name]) => name)).to.deep.equal(
        Array.from({ length: 7 }, (_, index) => shards.nameOf(index).replace(/^.*?\.tar\//, '')),
      );
      expect(rows.map(([, label]) => label)).to.deep.equal([...shards.labels!]);
      const digests = (await files(shards)).map((file) => createHash('sha256').update(file).digest('hex'));
      expect(rows.map(([, , digest]) => digest)).to.deep.equal(digests);
    },
  );
});
