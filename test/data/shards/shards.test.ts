import { spawnSync } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { encodedFile, readImage, type SkippedFile } from '../../../src/data/imageStore.js';
import { absoluteSource } from '../../../src/data/absolutePaths.js';
import { describeSource } from '../../../src/data/sourceDescription.js';
import { openSource, type ImageSource, type SourceOptions } from '../../../src/data/source.js';
import { openShard } from '../../../src/data/shards/openShard.js';
import { sampleName } from '../../../src/data/shards/sampleName.js';
import { expandBraces } from '../../../src/data/shards/shardNames.js';
import { endMark, tarFile } from '../../../src/data/shards/tarWriter.js';
import { rejection } from '../../support/rejection.js';
import { removeFolder } from '../../support/removeFolder.js';

describe('shards', () => {
  let folder: string;
  let cacheDirectory: string;
  /** PNGs of 1 to 40 pixels in a row: the width tells which one it is. */
  const png: Buffer[] = [];
  before(async () => {
    for (let width = 1; width <= 40; width++) {
      const image = sharp({ create: { width, height: 1, channels: 3, background: 'red' } });
      png[width] = await image.png().toBuffer();
    }
  });
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-shards-'));
    cacheDirectory = join(folder, 'cache');
  });
  afterEach(() => removeFolder(folder));

  const archive = (files: Readonly<Record<string, Buffer | string>>) =>
    Buffer.concat([
      ...Object.entries(files).flatMap(([name, content]) => tarFile(name, Buffer.from(content))),
      endMark,
    ]);
  const put = (path: string, files: Readonly<Record<string, Buffer | string>> | Buffer) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), Buffer.isBuffer(files) ? files : archive(files));
  };
  const open = (path: string, options: SourceOptions = {}) =>
    openSource(join(folder, path), { cacheDirectory, ...options });
  const names = (source: ImageSource) =>
    Array.from({ length: source.length }, (_, index) => source.nameOf(index));
  const widths = async (source: ImageSource) => {
    const images = Array.from({ length: source.length }, (_, index) => source.read(index));
    return (await Promise.all(images)).map(({ width }) => width);
  };

  describe('what they hold', () => {
    it('images in the order of the archives, classes by number, bytes as they are', async () => {
      put('s/train-000.tar', { '1.cls': '7', '1.png': png[1]!, '2.PNG': png[2]!, '2.cls': '2\n' });
      put('s/train-001.tar', { 'a/b.cls': '10', 'a/b.png': png[3]! });
      const source = await open('s/train-{000..001}.tar');
      expect(names(source)).to.deep.equal([
        ...['train-000.tar/1.png', 'train-000.tar/2.PNG', 'train-001.tar/a/b.png'],
      ]);
      expect(source.classes).to.deep.equal(['2', '7', '10']);
      expect([...source.labels!]).to.deep.equal([1, 0, 2]);
      expect(await widths(source)).to.deep.equal([1, 2, 3]);
      expect((await encodedFile(source.store, 1)).equals(png[2]!)).to.equal(true);
      expect(source.skipped).to.deep.equal([]);
      expect(source.notices).to.deep.equal([]);
    });

    it('classes.json names the classes; a number beyond it is refused', async () => {
      put('s/a.tar', { '1.cls': '2', '1.png': png[1]!, '2.cls': '0', '2.png': png[2]! });
      writeFileSync(join(folder, 's/classes.json'), '["cat", "dog", "emu"]');
      const source = await open('s/a.tar');
      expect(source.classes).to.deep.equal(['cat', 'dog', 'emu']);
      expect([...source.labels!]).to.deep.equal([2, 0]);
      writeFileSync(join(folder, 's/classes.json'), '["cat", "dog"]');
      expect((await rejection(open('s/a.tar'))).message).to.equal(
        'class 2 of the shards has no name in classes.json, which has 2; accepted: 0 to 1',
      );
      put('s/b.tar', { '1.cls': 'cow', '1.png': png[1]!, '2.cls': '0', '2.png': png[2]! });
      expect((await rejection(open('s/b.tar'))).message).to.equal(
        "class 'cow' of the shards is not in classes.json; accepted: its names, or 0 to 1",
      );
      writeFileSync(join(folder, 's/classes.json'), '["cat", "cat", "dog"]');
      expect((await rejection(open('s/a.tar'))).message).to.match(/classes\.json names no classes; accepted/);
    });

    it('classes as texts, in .cls or .json; .cls before .json, whichever comes first', async () => {
      put('a.tar', {
        ...{ '1.json': '{"label": "emu"}', '1.png': png[1]!, '2.png': png[2]!, '2.json': '{"class": "cat"}' },
        ...{ '3.cls': 'dog', '3.json': '{"label": "emu"}', '3.png': png[3]! },
        ...{ '4.json': '{"label": "emu"}', '4.cls': 'cat', '4.png': png[4]! },
      });
      const source = await open('a.tar');
      expect(source.classes).to.deep.equal(['cat', 'dog', 'emu']);
      expect([...source.labels!]).to.deep.equal([2, 0, 1, 0]);
      expect(source.notices).to.deep.equal([
        `${join(folder, 'a.tar')}: not used are other files of samples (2 .json)`,
      ]);
    });

    it('an image without a class has none, and that is said; shards without classes have no labels', async () => {
      put('a.tar', { '1.cls': '3', '1.png': png[1]!, '2.png': png[2]!, '3.cls': '0', '3.png': png[3]! });
      const source = await open('a.tar');
      expect(source.classes).to.deep.equal(['0', '3']);
      expect([...source.labels!]).to.deep.equal([1, -1, 0]);
      expect(source.notices).to.deep.equal([`${join(folder, 'a.tar')}: 1 of 3 images without a class`]);
      put('b.tar', { '1.png': png[1]!, '2.png': png[2]! });
      expect(await open('b.tar')).to.deep.include({ labels: null, classes: null, notices: [] });
    });

    it('a number below 0 is no class, wherever it stands', async () => {
      put('a.tar', {
        ...{
          '1.cls': '-1\n',
          '1.png': png[1]!,
          '2.cls': '10',
          '2.png': png[2]!,
          '3.cls': '9',
          '3.png': png[3]!,
        },
        ...{
          '4.json': '{"label": -7}',
          '4.png': png[4]!,
          '5.json': '{"label": 9}',
          '5.cls': '-1',
          '5.png': png[5]!,
        },
      });
      const source = await open('a.tar');
      expect(source.classes).to.deep.equal(['9', '10']);
      expect([...source.labels!]).to.deep.equal([-1, 1, 0, -1, -1]);
    });

    it('other files are counted by extension; hidden ones and metadata are passed over', async () => {
      put('a.tar', {
        ...{
          '1.png': png[1]!,
          '1.txt': 'a',
          '1.seg.png': png[2]!,
          '1.jpg': png[3]!,
          '1.json': '{"width": 3}',
        },
        ...{
          '._1.png': 'x',
          '__index__/a.json': '{}',
          '__meta__/1.png': png[4]!,
          '2.txt': 'b',
          '2.png': png[5]!,
        },
      });
      const source = await open('a.tar');
      expect(await widths(source)).to.deep.equal([1, 5]);
      expect(source.skipped).to.deep.equal([]);
      expect(source.notices).to.deep.equal([
        `${join(folder, 'a.tar')}: not used are other files of samples (1 .jpg, 1 .json, 1 .seg.png, 2 .txt)`,
      ]);
      expect((await describeSource(source)).ignored).to.match(/^other files of samples \(1 \.jpg, /);
    });

    it('keys are those of webdataset', () => {
      for (const [path, key, extension] of [
        ...[
          ['a.jpg', 'a', 'jpg'],
          ['a.b/c.d.JPG', 'a.b/c', 'd.jpg'],
          ['./x/y.seg.png', './x/y', 'seg.png'],
        ],
      ]) {
        expect(sampleName(path!)).to.deep.equal({ key, extension });
      }
      expect(sampleName('a/__x__/b.jpg')).to.deep.equal({ key: 'a/__x__/b', extension: 'jpg' });
      for (const path of ['a', 'a.b/c', '.hidden.jpg', 'a/.hidden.jpg', '__x__/a.json', '__x__']) {
        expect(sampleName(path), path).to.equal(null);
      }
    });
  });

  describe('what cannot be used is named', () => {
    it('duplicate keys, keys without an image, what is no image, what only a decoder refuses', async () => {
      put('s/a.tar', {
        '1.png': png[1]!,
        '2.cls': '1',
        '3.png': 'text',
        '4.avif': 'no AVIF',
        '5.png': png[5]!,
      });
      put('s/b.tar', Buffer.concat([archive({ '1.png': png[6]!, '7.png': png[7]! })]));
      const twice = archive({ '1.png': png[1]!, '2.png': png[2]! }).subarray(0, -endMark.length);
      put('s/c.tar', Buffer.concat([twice, twice, endMark]));
      const source = await open('s/{a,b,c}.tar');
      // A key in another shard is another one.
      expect(await widths(source)).to.deep.equal([1, 5, 6, 7, 1, 2]);
      const skipped = Object.fromEntries(source.skipped.map(({ path, reason }) => [path, reason]));
      expect(skipped).to.have.all.keys(
        'a.tar/2',
        'a.tar/3.png',
        'a.tar/4.avif',
        'c.tar/1.png',
        'c.tar/2.png',
      );
      expect(skipped['a.tar/2']).to.equal('no image has this key');
      expect(skipped['a.tar/3.png']).to.match(/^is no image; accepted/);
      expect(skipped['c.tar/1.png']).to.equal('there is an image of the key 1 before it, which is used');
    });

    it('a torn shard: the images before are used', async () => {
      const whole = archive({ '1.png': png[1]!, '2.png': Buffer.concat([png[2]!, Buffer.alloc(5000)]) });
      put('s/a.tar', whole.subarray(0, 3000));
      put('s/b.tar', whole.subarray(0, 512 + 20));
      put('s/c.tar', Buffer.from([0x1f, 0x8b, ...Buffer.alloc(2000)]));
      put('s/d.tar', Buffer.alloc(0));
      put('s/f.tar', Buffer.from('PK\x03\x04 and so on'));
      put('s/g.tar', Buffer.concat([whole, archive({ '3.png': png[3]! })]));
      mkdirSync(join(folder, 's/e.tar'));
      const source = await open('s/*.tar');
      expect(names(source)).to.deep.equal(['a.tar/1.png', 'g.tar/1.png', 'g.tar/2.png']);
      expect(source.skipped.map(({ path, reason }) => `${path}: ${reason}`)).to.deep.equal([
        'a.tar/2.png: the shard ends within it',
        'a.tar: it ends within 2.png, at byte 3000',
        'b.tar/1.png: the shard ends within it',
        'b.tar: it ends within 1.png, at byte 532',
        'c.tar: it is compressed (gzip), so no image can be read by itself; accepted: a tar archive that is not',
        'd.tar: it is empty',
        'e.tar: is no file',
        'f.tar: it is an archive of zip; accepted: tar',
        `g.tar: what follows its end mark, from byte ${whole.length} on, is not read`,
      ]);
    });

    it('links, which hold nothing; many keys without an image are one line', async () => {
      const link = Buffer.concat(tarFile('2.png', Buffer.alloc(0)));
      // A symbolic one: the sum grows by as much as the type.
      link.write('2', 156);
      const sum = link
        .subarray(0, 512)
        .reduce((all, byte, i) => all + (i >= 148 && i < 156 ? 0x20 : byte), 0);
      link.write(`${sum.toString(8).padStart(6, '0')}\0`, 148);
      const texts = Object.fromEntries(Array.from({ length: 11 }, (_, i) => [`x${i}.txt`, '']));
      put('a.tar', Buffer.concat([link, archive({ '1.png': png[1]!, ...texts })]));
      const source = await open('a.tar');
      expect(names(source)).to.deep.equal(['a.tar/1.png']);
      expect(source.skipped.map(({ path, reason }) => `${path}: ${reason}`)).to.deep.equal([
        'a.tar/2.png: is a link; accepted: the file itself in the archive',
        'a.tar: 11 keys have no image, the first x0',
      ]);
    });

    it('an image that is damaged behind its header: the next of its class stands in', async () => {
      const damaged = Buffer.from(png[1]!);
      damaged.fill(0, 40);
      put('a.tar', {
        ...{ '1.png': damaged, '1.cls': '0', '2.png': png[2]!, '2.cls': '1', '3.png': png[3]!, '3.cls': '0' },
      });
      const source = await open('a.tar');
      expect((await source.read(0)).width).to.equal(3);
      expect(source.skipped.map(({ path }) => path)).to.deep.equal(['a.tar/1.png']);
    });

    it('nothing that can be used, and shards that do not exist: one line', async () => {
      const message = async (path: string) => (await rejection(open(path))).message;
      put('a.tar', { '1.txt': 'x' });
      expect(await message('a.tar')).to.match(
        /^no readable image in .*a\.tar: 1 skipped, the first a\.tar\/1 \(no .*\); passed over: .*1 \.txt/,
      );
      put('b.tar', {});
      expect(await message('b.tar')).to.match(/^no images in .*b\.tar: expected files ending in \.jpg/);
      expect(await message('c.tar')).to.match(/^data source .*c\.tar does not exist$/);
      // A loop of links: neither there nor absent.
      symlinkSync('loop.tar', join(folder, 'loop.tar'));
      expect(await message('loop.tar')).to.match(/^data source .*loop\.tar cannot be read \(ELOOP: .*\)$/);
      put('s-1.tar', { '1.png': png[1]! });
      expect(await message('s-{0..3}.tar')).to.match(
        /^data source .*s-\{0\.\.3\}\.tar: 3 shards of 4 cannot be found, the first .*s-0\.tar$/,
      );
      expect(await message('x-*.tar')).to.match(/x-\*\.tar fits no file; accepted: shards that exist$/);
      expect(await message('{s-1,s-1}.tar')).to.match(/ names .*s-1\.tar twice; accepted: each shard once$/);
      expect(await message('s-{0..99999999}.tar')).to.match(/names more than 100000 shards/);
    });
  });

  describe('names', () => {
    it('braces are those of a shell', () => {
      expect(expandBraces('a-{08..11}.tar')).to.deep.equal(['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar']);
      expect(expandBraces('{2..0}{a,b}')).to.deep.equal(['2a', '2b', '1a', '1b', '0a', '0b']);
      expect(expandBraces('x{a,b{1..2}}y')).to.deep.equal(['xay', 'xb1y', 'xb2y']);
      expect(expandBraces('{0..9..4}{02..-1..2}')).to.deep.equal(['002', '000', '402', '400', '802', '800']);
      expect(expandBraces('{a}{}{1..b}')).to.deep.equal(['{a}{}{1..b}']);
      const bash = spawnSync(
        'bash',
        ['-c', 'echo {998..1002} {00..3} {1,2}{x,y{5..3}} {3..-2..2} {-05..7..4} {9..1..3}'],
        {
          encoding: 'utf8',
        },
      );
      if (bash.status !== 0) return;
      const patterns = [
        '{998..1002}',
        '{00..3}',
        '{1,2}{x,y{5..3}}',
        '{3..-2..2}',
        '{-05..7..4}',
        '{9..1..3}',
      ];
      const ours = patterns.flatMap((pattern) => expandBraces(pattern));
      expect(ours).to.deep.equal(bash.stdout.trim().split(' '));
    });

    it('a folder of shards, a pattern and a range are the same images', async () => {
      for (const i of [0, 1, 2]) put(`s/${i}.tar`, { '1.png': png[i + 1]! });
      writeFileSync(join(folder, 's/README.txt'), 'x');
      const sources = [
        await open('s'),
        await open('s/*.tar'),
        await open('s/?.tar'),
        await open('s/{0..2}.tar'),
      ];
      for (const source of sources) {
        expect(names(source)).to.deep.equal(['0.tar/1.png', '1.tar/1.png', '2.tar/1.png']);
        expect(source.fingerprint).to.equal(sources[0]!.fingerprint);
        expect(source.identity).to.equal(sources[0]!.identity);
      }
      // One image beside them, or a folder: images in files, as ever.
      put('s/in/1.png', png[1]!);
      expect(names(await open('s'))).to.deep.equal(['in/1.png']);
    });

    it('what other readers take, and is not taken here: one line, also in a run', async () => {
      for (const [source, reason] of [
        ['file:s/a.tar', 'is a URL'],
        ['pipe:cat s/a.tar', 'is a URL'],
        ['s3://bucket/s-{0..9}.tar', 'is a URL'],
        ['s/a.tar::s/b.tar', "joins paths with '::'"],
        ['s/{0..9}.tar.gz', 'is compressed'],
        ['s/a.tgz', 'is compressed'],
      ]) {
        const message = `data source ${source} ${reason}`;
        const accepted = '; accepted: ';
        expect((await rejection(openSource(source!, { cacheDirectory }))).message)
          .to.include(message)
          .and.to.include(accepted);
        expect(absoluteSource(source!)).to.equal(source);
      }
    });

    it('names that exist are no patterns; .TAR is .tar', async () => {
      put('s{a,b}/x{0..1}.tar', { '1.png': png[1]! });
      put('s{a,b}/y.TAR', { '1.png': png[2]! });
      expect(names(await open('s{a,b}/x{0..1}.tar'))).to.deep.equal(['x{0..1}.tar/1.png']);
      expect(names(await open('s{a,b}'))).to.deep.equal(['x{0..1}.tar/1.png', 'y.TAR/1.png']);
      expect(names(await open('s{a,b}/?.TAR'))).to.deep.equal(['y.TAR/1.png']);
    });

    it('links to one shard, indexed at once: each is read, and its index kept', async () => {
      put('a.tar', { '1.png': png[1]! });
      mkdirSync(join(folder, 's'));
      for (let i = 0; i < 8; i++) symlinkSync('../a.tar', join(folder, `s/${i}.tar`));
      const source = await open('s');
      expect(names(source)).to.have.length(8);
      expect([source.skipped, source.notices]).to.deep.equal([[], []]);
    });

    it('shards in several folders: relative to what they share', async () => {
      put('a/x.tar', { '1.png': png[1]! });
      put('b/x.tar', { '1.png': png[2]! });
      expect(names(await open('{b,a}/x.tar'))).to.deep.equal(['b/x.tar/1.png', 'a/x.tar/1.png']);
    });
  });

  describe('identity', () => {
    const shard = () => ({ '1.cls': '0', '1.png': png[1]!, '2.cls': '1', '2.png': png[2]! });

    it('the same elsewhere, under other names and times; another with another byte, class or order', async () => {
      put('s/a.tar', shard());
      const { fingerprint } = await open('s/a.tar');
      cpSync(join(folder, 's/a.tar'), join(folder, 't/b.tar'));
      expect((await open('t/b.tar')).fingerprint).to.equal(fingerprint);
      const changed = [
        { ...shard(), '1.cls': '1' },
        { ...shard(), '2.png': png[3]! },
        { ...shard(), '2.png': Buffer.from(png[2]!.map((byte, i) => (i === 60 ? byte ^ 1 : byte))) },
        { '2.cls': '1', '2.png': png[2]!, '1.cls': '0', '1.png': png[1]! },
      ];
      const fingerprints = new Set([fingerprint]);
      for (const [i, files] of changed.entries()) {
        put(`u${i}.tar`, files);
        fingerprints.add((await open(`u${i}.tar`)).fingerprint);
      }
      expect(fingerprints.size).to.equal(5);
    });

    it('of large images the first and the last bytes tell', async () => {
      const large = Buffer.concat([png[1]!, Buffer.alloc(100_000, 1)]);
      const at = async (position: number) => {
        const content = Buffer.from(large);
        content[position]! ^= 1;
        put('l.tar', { '1.png': content });
        return (await open('l.tar')).fingerprint;
      };
      put('l.tar', { '1.png': large });
      const { fingerprint } = await open('l.tar');
      expect(await at(4000)).not.to.equal(fingerprint);
      expect(await at(large.length - 1)).not.to.equal(fingerprint);
      expect(await at(50_000)).to.equal(fingerprint);
    });

    it('a limit chooses by the seed, and is part of it', async () => {
      put('a.tar', Object.fromEntries(png.slice(1, 31).map((image, i) => [`${i}.png`, image])));
      const [all, one, same, other] = [
        await open('a.tar', { limit: 30 }),
        await open('a.tar', { limit: 5, seed: 1 }),
        await open('a.tar', { limit: 5, seed: 1 }),
        await open('a.tar', { limit: 5, seed: 2 }),
      ];
      expect(all.fingerprint).to.equal((await open('a.tar')).fingerprint);
      expect(names(one)).to.have.length(5).and.deep.equal(names(same));
      expect(names(other)).not.to.deep.equal(names(one));
      expect(new Set([all, one, same, other].map(({ fingerprint }) => fingerprint)).size).to.equal(3);
      const expected = names(one).map((name) => Number(/(\d+)\.png/.exec(name)![1]) + 1);
      expect(await widths(one)).to.deep.equal(expected);
    });
  });

  describe('the kept index', () => {
    const kept = () => readdirSync(join(cacheDirectory, 'shards'));
    const openOne = () => openShard(join(folder, 'a.tar'), cacheDirectory);

    it('is taken while the shard is as it was; made again when size, time or content differ', async () => {
      put('a.tar', { '1.cls': '4', '1.png': png[1]!, '2.txt': 'x', '3.png': 'no' });
      const first = await openOne();
      const again = await openOne();
      expect([first.kept, again.kept]).to.deep.equal([false, true]);
      expect(again.index).to.deep.equal(first.index);
      expect(again.index.skipped).to.have.length(2);
      expect(kept()).to.have.length(1);

      utimesSync(join(folder, 'a.tar'), 1, 1);
      expect((await openOne()).kept).to.equal(false);
      put('a.tar', { '1.cls': '4', '1.png': png[2]! });
      const changed = await openOne();
      expect(changed.kept).to.equal(false);
      expect(changed.index.sizes[0]).to.equal(png[2]!.length);
      expect(kept()).to.have.length(1);
    });

    it('a damaged one, of any byte, is made again', async () => {
      put('a.tar', { '1.cls': '4', '1.png': png[1]!, '2.png': png[2]! });
      const { index } = await openOne();
      const path = join(cacheDirectory, 'shards', kept()[0]!);
      const whole = readFileSync(path);
      for (let at = 0; at < whole.length; at += 37) {
        const damaged = Buffer.from(whole);
        damaged[at]! ^= 4;
        writeFileSync(path, at % 2 === 0 ? damaged : whole.subarray(0, at));
        const opened = await openOne();
        expect(opened.index, `byte ${at}`).to.deep.equal(index);
      }
    });

    it('goes when nobody has used it for 60 days; use is noted', async () => {
      const days = (count: number) => Date.now() / 1000 - 24 * 3600 * count;
      const path = (name: string) => join(cacheDirectory, 'shards', name);
      put('a.tar', { '1.png': png[1]! });
      await open('a.tar');
      const [own] = kept();
      const [gone, young] = ['0'.repeat(64), 'f'.repeat(64)].map((name) => `${name}.safetensors`);
      for (const [name, age] of [
        [own!, 61],
        [gone!, 61],
        [young!, 59],
        ['notes.txt', 99],
      ] as const) {
        if (name !== own) writeFileSync(path(name), '');
        utimesSync(path(name), days(age), days(age));
      }
      expect((await openOne()).kept).to.equal(true);
      put('b.tar', { '1.png': png[2]! });
      await open('b.tar');
      expect(kept()).to.have.length(4).and.to.include.members([own, young, 'notes.txt']);
    });

    it('no place for it: a notice, and it works', async () => {
      put('a.tar', { '1.png': png[1]! });
      writeFileSync(cacheDirectory, 'a file');
      const source = await open('a.tar');
      expect(source.length).to.equal(1);
      expect(source.notices).to.have.length(1);
      expect(source.notices[0]).to.match(/a\.tar: its index is made anew each time: E/);
    });
  });

  it('many shards are indexed by threads: the same as by one; few files stay open', async function () {
    for (let i = 0; i < 150; i++) {
      put(`s/${String(i).padStart(3, '0')}.tar`, { 'x.png': png[1 + (i % 40)]!, 'x.cls': String(i % 7) });
    }
    const found: string[] = [];
    const source = await open('s', { onProgress: (message) => void found.push(message) });
    expect(await widths(source)).to.deep.equal(Array.from({ length: 150 }, (_, i) => 1 + (i % 40)));
    expect([...source.labels!]).to.deep.equal(Array.from({ length: 150 }, (_, i) => i % 7));
    if (process.platform === 'linux') {
      const open = readdirSync('/proc/self/fd').length;
      expect(open).to.be.lessThan(150);
    }
    const again = await open('s');
    expect(again.fingerprint).to.equal(source.fingerprint);
    expect(again.identity).to.equal(source.identity);
  });

  it('stopped while indexing: the reason, at once', async () => {
    const image = png[1]!;
    const files = Array.from({ length: 3000 }, (_, i) => tarFile(`${i}.png`, image)).flat();
    const shard = Buffer.concat([...files, endMark]);
    for (const i of [0, 1, 2, 3, 4]) put(`s/${i}.tar`, shard);
    for (const path of ['s/0.tar', 's']) {
      const controller = new AbortController();
      const opening = rejection(open(path, { signal: controller.signal }));
      controller.abort(new Error('enough'));
      expect((await opening).message).to.equal('enough');
    }
  });

  it('a shard that is written over while it is open is not read as the one of then', async () => {
    put('a.tar', { '1.png': png[1]!, '2.png': png[2]! });
    const source = await open('a.tar');
    expect((await source.read(0)).width).to.equal(1);
    put('a.tar', { '1.png': png[9]!, '2.png': png[2]! });
    expect((await rejection(source.read(0))).message).to.match(
      /^no image in .* can stand in for a\.tar\/1\.png: the file it is in was changed after it was opened$/,
    );
  });

  it('a shard that is replaced after it was indexed is not read as the one of then', async () => {
    put('a.tar', { '1.png': png[1]!, '2.png': png[2]! });
    put('b.tar', { '3.png': png[3]! });
    const source = await open('{a,b}.tar');
    put('new.tar', { '1.png': png[9]!, '2.png': png[8]! });
    renameSync(join(folder, 'new.tar'), join(folder, 'a.tar'));
    const unreadable: SkippedFile[] = [];
    const onUnreadable = (file: SkippedFile) => void unreadable.push(file);
    expect((await readImage(source.store, 0, { onUnreadable })).width).to.equal(3);
    expect(unreadable.map(({ path, reason }) => `${path}: ${reason}`)).to.deep.equal([
      'a.tar/1.png: the file it is in was changed after it was opened',
      'a.tar/2.png: the file it is in was changed after it was opened',
    ]);
    rmSync(join(folder, 'b.tar'));
    // One that is open already can still be read.
    expect((await readImage(source.store, 2, { onUnreadable })).width).to.equal(3);
  });
});
