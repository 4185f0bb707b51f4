import { createHash } from 'node:crypto';
import { cpSync, linkSync, mkdirSync, readFileSync, renameSync, statSync, symlinkSync } from 'node:fs';
import { utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { contentBudget, inspectImageFile } from '../../src/data/imageFiles.js';
import { inspectAll, scanFiles } from '../../src/data/scanFiles.js';
import { openSource, rgb8 } from '../../src/data/source.js';
import { rejection } from '../support/rejection.js';
import { tiff } from './tiff.js';
import { removeFolder } from '../support/removeFolder.js';

const asRgb8 = { budget: 1e6, pixels: rgb8 };

describe('a folder of images', () => {
  let folder: string;
  let png: Buffer;
  before(async () => {
    png = await sharp({ create: { width: 4, height: 4, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
  });
  beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'slimclr-folder-'))));
  afterEach(() => removeFolder(folder));

  const put = (path: string, content: Buffer | string = png) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  };
  const filesOf = async (root = folder, limit = 0, seed = 0) => {
    const source = await openSource(root, { limit, seed });
    return Array.from({ length: source.length }, (_, index) => source.nameOf(index));
  };

  describe('what counts as an image', () => {
    it('other names of JPEG and APNG, in either case, are taken', async () => {
      const names = ['a.JFIF', 'b.jpe', 'c.jif', 'd.jfi', 'e.pjpeg', 'f.pjp', 'g.apng', 'h.TIF', 'i.Webp'];
      for (const name of names) put(name);
      expect(await filesOf()).to.deep.equal(names);
    });

    it('formats that are not decoded are counted by extension; text and hidden files are not mentioned', async () => {
      for (const name of ['a.png', '1.bmp', '2.BMP', 'x/3.heic', 'x/4.svg', '5.CR2', 'notes.txt', '.6.bmp']) {
        put(name);
      }
      put('.7.png');
      const source = await openSource(folder);
      expect(source.length).to.equal(1);
      expect(source.notices).to.deep.equal([
        `${folder}: not used are images of formats that are not decoded (2 .bmp, 1 .cr2, 1 .heic, 1 .svg)`,
      ]);
      expect(source.ignored!.hidden).to.equal(1);
    });

    it('none but such: wrong usage that counts them', async () => {
      put('1.bmp');
      expect((await rejection(openSource(folder))).message).to.match(
        /^no images in .*: expected files ending in \.jpg, .*; passed over: images of formats .* \(1 \.bmp\)$/,
      );
    });

    it('folders of systems are no classes; they are counted', async () => {
      for (const path of ['a/1.png', 'b/2.png', 'a/@eaDir/1.png', 'b/@eaDir/2.png', '__MACOSX/a/1.png'])
        put(path);
      for (const path of ['.thumbnails/1.png', '$RECYCLE.BIN/1.png', 'lost+found/1.png', '.git/1.png'])
        put(path);
      const source = await openSource(folder);
      expect(source.classes).to.deep.equal(['a', 'b']);
      expect(await filesOf()).to.deep.equal(['a/1.png', 'b/2.png']);
      expect(source.notices).to.deep.equal([
        `${folder}: not used are system folders (1 $RECYCLE.BIN, 1 .thumbnails, 2 @eaDir, 1 __MACOSX, 1 lost+found)`,
      ]);
    });
  });

  describe('links and names', () => {
    it('two links to one folder are two classes', async () => {
      const other = await mkdtemp(join(tmpdir(), 'slimclr-linked-'));
      try {
        writeFileSync(join(other, '1.png'), png);
        put('c/2.png');
        symlinkSync(other, join(folder, 'a'));
        symlinkSync(other, join(folder, 'b'));
        expect(await filesOf()).to.deep.equal(['a/1.png', 'b/1.png', 'c/2.png']);
        expect((await openSource(folder)).classes).to.deep.equal(['a', 'b', 'c']);
      } finally {
        await rm(other, { recursive: true });
      }
    });

    it('links that lead back end; in one class a folder counts once', async () => {
      put('a/1.png');
      put('a/in/2.png');
      symlinkSync(folder, join(folder, 'a', 'root'));
      symlinkSync('.', join(folder, 'a', 'here'));
      symlinkSync('in', join(folder, 'a', 'same'));
      symlinkSync(join(folder, 'a'), join(folder, 'a', 'in', 'up'));
      expect(await filesOf()).to.deep.equal(['a/1.png', 'a/in/2.png']);
    });

    it('linked files are images; broken links are skipped, also those to folders', async () => {
      put('a.png');
      symlinkSync('a.png', join(folder, 'b.png'));
      symlinkSync('gone.png', join(folder, 'c.png'));
      symlinkSync('gone', join(folder, 'class'));
      const source = await openSource(folder);
      expect(await filesOf()).to.deep.equal(['a.png', 'b.png']);
      expect(source.skipped.map(({ path }) => path)).to.deep.equal(['c.png', 'class']);
      for (const { reason } of source.skipped) expect(reason).to.match(/^ENOENT/);
    });

    it('a name that is not UTF-8, of a file or a folder: skipped with that reason', async function () {
      if (process.platform !== 'linux') this.skip();
      put('a/ok.png');
      const latin1 = (path: string) => Buffer.from(join(folder, path), 'latin1');
      writeFileSync(latin1('a/caf\xe9.png'), png);
      mkdirSync(latin1('gar\xe7on'));
      writeFileSync(latin1('gar\xe7on/1.png'), png);
      const source = await openSource(folder);
      expect(source.classes).to.deep.equal(['a']);
      expect(source.skipped).to.deep.equal([
        { path: 'a/caf\ufffd.png', reason: 'its name is not UTF-8' },
        { path: 'gar\ufffdon', reason: 'its name is not UTF-8' },
      ]);
    });

    it('a name with a replacement character of its own is a name', async () => {
      put('a\ufffd.png');
      expect(await filesOf()).to.deep.equal(['a\ufffd.png']);
    });
  });

  describe('limit', () => {
    const names = Array.from({ length: 30 }, (_, i) => `${String(i).padStart(2, '0')}.png`);

    it('files that it does not choose are not opened', async () => {
      for (const name of names) put(name);
      const chosen = await filesOf(folder, 5, 1);
      expect(chosen.length).to.equal(5);
      for (const name of names) if (!chosen.includes(name)) put(name, 'no image');
      const source = await openSource(folder, { limit: 5, seed: 1 });
      expect(source.skipped).to.deep.equal([]);
      expect(await filesOf(folder, 5, 1)).to.deep.equal(chosen);
    });

    it('a file that cannot be used is replaced by the next in the order of the seed, the others stay', async () => {
      for (const name of names) put(name);
      const [five, six] = [await filesOf(folder, 5, 1), await filesOf(folder, 6, 1)];
      put(five[2]!, 'no image');
      const replaced = await openSource(folder, { limit: 5, seed: 1 });
      expect(replaced.skipped.map(({ path }) => path)).to.deep.equal([five[2]]);
      expect(await filesOf(folder, 5, 1)).to.deep.equal(six.filter((name) => name !== five[2]));
      expect(replaced.fingerprint).to.equal((await openSource(folder, { limit: 5, seed: 1 })).fingerprint);
    });

    it('fewer usable files than the limit: all of them', async () => {
      for (const name of names) put(name, name < '27.png' ? 'no image' : png);
      const source = await openSource(folder, { limit: 5, seed: 1 });
      expect(await filesOf(folder, 5, 1)).to.deep.equal(['27.png', '28.png', '29.png']);
      expect(source.skipped.length).to.equal(27);
    });
  });

  describe('identity', () => {
    const noise = (seed: number) =>
      tiff({ bits: 8, data: Uint8Array.from({ length: 192 }, (_, i) => (i * 7919 * seed) % 256) });
    const identities = async (root = folder) => {
      const { fingerprint, identity } = await openSource(root);
      return { fingerprint, identity };
    };

    it('other pixels in files of the same size and times: other fingerprints', async () => {
      put('a/1.tif', noise(1));
      put('b/1.tif', noise(2));
      const before = await identities();
      // A rename keeps sizes and times.
      renameSync(join(folder, 'a'), join(folder, 'c'));
      renameSync(join(folder, 'b'), join(folder, 'a'));
      renameSync(join(folder, 'c'), join(folder, 'b'));
      const after = await identities();
      expect(after.fingerprint).not.to.equal(before.fingerprint);
      expect(after.identity).not.to.equal(before.identity);
    });

    it('copied, touched or reached by another path: the same', async () => {
      put('a/1.tif', noise(1));
      put('b/1.tif', noise(2));
      const before = await identities();
      utimesSync(join(folder, 'a/1.tif'), 1, 1);
      expect(await identities()).to.deep.equal(before);
      const copy = await mkdtemp(join(tmpdir(), 'slimclr-copy-'));
      try {
        cpSync(folder, join(copy, 'x'), { recursive: true });
        expect(await identities(join(copy, 'x'))).to.deep.equal(before);
        symlinkSync(join(copy, 'x'), join(copy, 'y'));
        expect(await identities(join(copy, 'y'))).to.deep.equal(before);
      } finally {
        await rm(copy, { recursive: true });
      }
    });

    it('the earlier fingerprint: SHA-256 of names and sizes; with a limit there is none', async () => {
      put('a/1.tif', noise(1));
      put('b/2.png');
      const lines = ['a/1.tif', 'b/2.png'].map((path) => `${path}\0${statSync(join(folder, path)).size}\n`);
      const expected = createHash('sha256')
        .update(`${lines.join('')}\n`)
        .digest('hex');
      expect((await openSource(folder)).earlierFingerprint).to.equal(expected);
      expect((await openSource(folder, { limit: 1 })).earlierFingerprint).to.equal(null);
    });

    it('a file within the budget is hashed whole, a larger one at its beginning, middle and end', () => {
      expect(contentBudget(1)).to.equal(2 ** 30);
      expect(contentBudget(1024)).to.equal(2 ** 20);
      expect(contentBudget(1_000_000)).to.equal(3 * 2 ** 14);
      const size = 3_000_000;
      const content = Buffer.alloc(size, 7);
      noise(3).copy(content);
      const inspect = (budget: number) => inspectImageFile(folder, 'x.tif', budget);
      put('x.tif', content);
      const [whole, sampled] = [inspect(size), inspect(size - 1)];
      expect(whole.digest).to.deep.equal(createHash('sha256').update(content).digest());
      expect(whole.stamp).to.equal(null);
      for (const [at, inSample] of [
        [5000, true],
        [size / 2, true],
        [size - 1, true],
        [size / 4, false],
      ] as const) {
        const other = Buffer.from(content);
        other[at] = 8;
        put('x.tif', other);
        const { atime, mtime } = statSync(join(folder, 'x.tif'));
        utimesSync(join(folder, 'x.tif'), atime, mtime);
        expect(inspect(size).digest.equals(whole.digest), `byte ${at}`).to.equal(false);
        expect(inspect(size - 1).digest.equals(sampled.digest), `byte ${at}, sampled`).to.equal(!inSample);
        expect(inspect(size - 1).stamp, 'strict').not.to.equal(sampled.stamp);
      }
    });
  });

  describe('many files', () => {
    const count = 2300;
    beforeEach(() => {
      put('first.png');
      put('bad.png', 'no image');
      for (let i = 0; i < count; i++) {
        linkSync(join(folder, i % 500 === 7 ? 'bad.png' : 'first.png'), join(folder, `${i}.png`));
      }
    });

    it('in worker threads: the same as one after the other, in order, with progress', async () => {
      const names = Array.from({ length: count }, (_, i) => `${i}.png`);
      const done: number[] = [];
      const parallel = await scanFiles(folder, names, asRgb8, { onFiles: (files) => void done.push(files) });
      expect(parallel).to.deep.equal(await inspectAll(folder, names, asRgb8));
      expect(parallel.filter(({ reason }) => reason !== null).length).to.equal(5);
      expect(done.at(-1)).to.equal(count);
      expect(done).to.deep.equal([...done].sort((a, b) => a - b));
      const sum = createHash('sha256')
        .update(readFileSync(join(folder, 'first.png')))
        .digest('hex');
      expect(parallel[0]).to.include({ digest: sum });
    });

    it('an abort ends the opening with its reason: before, while listing, between files', async () => {
      const reason = new Error('stop');
      const open = (signal: AbortSignal) => rejection(openSource(folder, { signal }));
      expect(await open(AbortSignal.abort(reason))).to.equal(reason);
      const controller = new AbortController();
      const opening = open(controller.signal);
      setImmediate(() => controller.abort(reason));
      expect(await opening).to.equal(reason);
      const names = Array.from({ length: count }, (_, i) => `${i}.png`);
      const during = new AbortController();
      const onFiles = () => during.abort(reason);
      const scan = scanFiles(folder, names, asRgb8, { signal: during.signal, onFiles });
      expect(await rejection(scan)).to.equal(reason);
    });
  });
});
