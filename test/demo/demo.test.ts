import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { decodeImage } from '../../src/data/imageDecoder.js';
import { openImageEncoder } from '../../src/embedding/imageEncoder.js';
import { Random } from '../../src/random.js';
import { chromium } from '../support/browser.js';
import {
  chooseFile,
  expectClean,
  found,
  opened,
  serveTinyDemo,
  textOf,
  type ServedDemo,
} from './servedDemo.js';

describe('slimclr demo in Chromium: ResNet-20, widths 1 and 0.5, blue and red images', function () {
  this.timeout(120_000);
  let demo: ServedDemo;
  before(async function () {
    if (chromium === undefined) return this.skip();
    demo = await serveTinyDemo();
  });
  after(() => demo?.remove());

  it('a picture goes in, neighbours of its class come out; the slider changes model and numbers', async () => {
    const page = await demo.browser.page(demo.url);
    await page.until(opened('1.00'));
    expect(await page.evaluate('crossOriginIsolated')).to.equal(true);
    for (const name of ['red', 'blue']) {
      await chooseFile(page, join(demo.run.test, name, '1.png'));
      await page.until(found(`${name}: `));
      const items = await page.evaluate<string[]>(
        `[...document.querySelectorAll('#neighbours li')].map((li) => li.innerText)`,
      );
      expect(items).to.have.length(12);
      expect(items[0]).to.match(new RegExp(`^${name}\\s+0\\.\\d+$|^${name}\\s+1\\.000$`));
      expect(items.filter((item) => item.startsWith(name)).length).to.be.above(7);
    }
    const [macs, bytes] = [await textOf(page, 'macs'), await textOf(page, 'bytes')];
    // By keys, as a person without a mouse does.
    await page.evaluate(`document.getElementById('width').focus()`);
    await page.press('ArrowLeft');
    await page.until(`${opened('0.50')} && ${found('blue: ')}`);
    expect(parseFloat(await textOf(page, 'macs'))).to.be.below(parseFloat(macs) / 3);
    expect(await textOf(page, 'bytes')).to.not.equal(bytes);
    expect(parseFloat(await textOf(page, 'memory'))).to.be.above(16);
    expectClean(page);
  });

  it('slimclr/web there: features of a file, a canvas, a bitmap and the frame of a video are those of Node', async () => {
    const page = await demo.browser.page(demo.url);
    await page.until(opened('1.00'));
    const random = new Random(3);
    const files: string[] = [];
    for (const [width, height] of [
      [16, 16],
      [61, 40],
      [33, 250],
    ] as const) {
      // prettier-ignore
      const data = Buffer.from(Array.from({ length: 3 * width * height }, () => random.integer(256)));
      files.push(join(demo.root, `${width}.png`));
      await sharp(data, { raw: { width, height, channels: 3 } }).toFile(files.at(-1)!);
    }
    const encoder = await openImageEncoder(join(demo.run.folder, 'export', 'resnet20.w0.50.onnx'));
    const expected = await encoder.features(await Promise.all(files.map((file) => decodeImage(file))));
    await encoder.close();
    const pictures = await Promise.all(files.map(async (file) => (await readFile(file)).toString('base64')));
    const actual = await page.evaluate<number[][][]>(`(async () => {
      const { Family } = await import('/code/web/index.js');
      const ort = await import('/ort/ort.wasm.min.mjs');
      ort.env.wasm.wasmPaths = '/ort/';
      const family = await Family.open('models/manifest.json', { ort });
      const { encoder, fits } = await family.choose({ milliseconds: 1e6, candidates: ({ width }) => width === 0.5 });
      if (!fits) throw new Error('does not fit');
      const results = [];
      for (const base64 of ${JSON.stringify(pictures)}) {
        const blob = new Blob([Uint8Array.from(atob(base64), (c) => c.charCodeAt(0))], { type: 'image/png' });
        const bitmap = await createImageBitmap(blob);
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
        canvas.getContext('2d').drawImage(bitmap, 0, 0);
        const frame = new VideoFrame(canvas, { timestamp: 0 });
        const image = new Image();
        image.src = URL.createObjectURL(blob);
        await image.decode();
        const file = new File([blob], 'a.png', { type: 'image/png' });
        const embeddings = await encoder.embedAll([file, canvas, bitmap, frame, image]);
        frame.close();
        results.push(embeddings.map(({ features }) => [...features]));
      }
      return results;
    })()`);
    const largest = expected.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    for (const [i, embeddings] of actual.entries()) {
      for (const features of embeddings) {
        expect(features).to.have.length(32);
        const difference = features.map((value, c) => Math.abs(value - expected[32 * i + c]!) / largest);
        expect(Math.max(...difference)).to.be.below(1e-5);
      }
    }
  });

  it('Ctrl-C ends the server', async () => {
    demo.process.child.kill('SIGINT');
    const { code, stdout } = await demo.process.exited;
    expect(stdout).to.match(/^http:\/\/localhost:\d+\/ shows .*run; Ctrl-C ends it\n$/);
    expect(code).to.equal(0);
  });
});
