import { cp, mkdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import sharp from 'sharp';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { Random } from '../../src/random.js';
import { makeTinyRun, type TinyRun } from './tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

/** Blue and red images, in files of one size. */
async function writeTiffs(root: string): Promise<void> {
  const random = new Random(5);
  for (const [name, colour] of [
    ['blue', [40, 60, 200]],
    ['red', [200, 60, 40]],
  ] as const) {
    await mkdir(join(root, name), { recursive: true });
    for (let i = 0; i < 6; i++) {
      const pixels = Uint8Array.from({ length: 768 }, (_, p) => colour[p % 3]! + random.integer(40));
      const image = sharp(pixels, { raw: { width: 16, height: 16, channels: 3 } });
      await image.tiff({ compression: 'none' }).toFile(join(root, name, `${i}.tif`));
    }
  }
}

describe('features of images that are replaced', function () {
  this.timeout(60_000);
  let run: TinyRun;
  beforeEach(async () => (run = await makeTinyRun()));
  afterEach(() => removeFolder(dirname(run.folder)));

  it('classes swapped, sizes and times as before: computed anew, no label is right; swapped back: all', async () => {
    const test = join(dirname(run.folder), 'tiffs');
    await writeTiffs(test);
    const top1 = async () =>
      (await evaluateKnn(run.folder, { testSource: test, k: 5 })).widths[0]!.trained.top1;
    const swap = async () => {
      await rename(join(test, 'red'), join(test, 'other'));
      await rename(join(test, 'blue'), join(test, 'red'));
      await rename(join(test, 'other'), join(test, 'blue'));
    };
    expect(await top1()).to.equal(1);
    await swap();
    expect(await top1()).to.equal(0);
    await swap();
    expect(await top1()).to.equal(1);
  });

  it('the same images at another place: taken from the cache', async () => {
    const messages: string[] = [];
    const onProgress = (message: string) => void messages.push(message);
    await evaluateKnn(run.folder, { testSource: run.test, k: 5, onProgress });
    expect(messages.filter((message) => message.startsWith('features')).length).to.be.greaterThan(0);
    const moved = join(dirname(run.folder), 'moved');
    await cp(run.test, moved, { recursive: true });
    messages.length = 0;
    await evaluateKnn(run.folder, { testSource: moved, k: 5, onProgress });
    expect(messages.filter((message) => message.startsWith('features'))).to.deep.equal([]);
  });
});
