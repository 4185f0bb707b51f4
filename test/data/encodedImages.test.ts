import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { encodedBytes, encodedCount, encodedName } from '../../src/data/encodedImages.js';
import { imageName, readImage, type SkippedFile } from '../../src/data/imageStore.js';
import { packStrings, stringAt, stringCount } from '../../src/data/packedStrings.js';
import { openSource, subset } from '../../src/data/source.js';
import { removeFolder } from '../support/removeFolder.js';

describe('encoded images', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-encoded-'));
    for (const [i, name] of ['a/0', 'a/1', 'a/2', 'b/3', 'b/4'].entries()) {
      mkdirSync(join(folder, name, '..'), { recursive: true });
      const image = sharp({ create: { width: 1 + i, height: 1, channels: 3, background: 'red' } });
      writeFileSync(join(folder, `${name}.png`), await image.png().toBuffer());
    }
  });
  after(() => removeFolder(folder));

  it('a store survives structured cloning without a copy of what grows with the images', async () => {
    const { store } = await openSource(folder);
    const clone = structuredClone(store);
    expect(encodedCount(clone.images)).to.equal(5);
    expect(imageName(clone, 3)).to.equal('b/3.png');
    expect(await encodedBytes(clone.images, 3)).to.deep.equal(await encodedBytes(store.images, 3));
    // What is written on this side is seen on the other.
    store.selection[0] = 4;
    store.labels![0] = 7;
    expect(clone.selection[0]).to.equal(4);
    expect(clone.labels![0]).to.equal(7);
    if (store.images.kind === 'folder') store.images.files.bytes[0] = 'z'.charCodeAt(0);
    expect(encodedName(clone.images, 0)).to.equal('z/0.png');
  });

  it('a subset, and one of it, name and read the right ones; the next of its class there stands in', async () => {
    const whole = await openSource(folder);
    const part = subset(whole, Uint32Array.of(4, 2, 0, 3));
    const names = (source: typeof part) =>
      Array.from({ length: source.length }, (_, index) => source.nameOf(index));
    expect(names(part)).to.deep.equal(['b/4.png', 'a/2.png', 'a/0.png', 'b/3.png']);
    const inner = subset(part, Uint32Array.of(2, 1));
    expect(names(inner)).to.deep.equal(['a/0.png', 'a/2.png']);
    expect((await inner.read(1)).width).to.equal(3);

    writeFileSync(join(folder, 'b', '4.png'), 'damaged');
    const unreadable: SkippedFile[] = [];
    const onUnreadable = (file: SkippedFile) => void unreadable.push(file);
    expect((await readImage(part.store, 0, { onUnreadable })).width).to.equal(4);
    expect(unreadable.map(({ path }) => path)).to.deep.equal(['b/4.png']);
  });

  it('packed strings are those that went in', () => {
    const strings = ['', 'a/b.jpg', 'größe/ł.png', '\u{1F600}.webp', ''];
    const packed = packStrings(strings);
    expect(stringCount(packed)).to.equal(5);
    const clone = structuredClone(packed);
    expect(strings.map((_, index) => stringAt(clone, index))).to.deep.equal(strings);
    expect(stringAt(packed, 2)).to.equal('größe/ł.png');
    expect(stringCount(packStrings([]))).to.equal(0);
  });
});
