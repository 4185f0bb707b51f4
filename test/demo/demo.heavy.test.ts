import { expect } from 'chai';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import { exportDemo } from '../../src/demo/demo.js';
import { chromium } from '../support/browser.js';
import { chooseFile, expectClean, found, opened, serveTinyDemo, type ServedDemo } from './servedDemo.js';

describe('slimclr demo in Chromium: keys, small screens, the camera, static folders', function () {
  this.timeout(120_000);
  let demo: ServedDemo;
  before(async function () {
    if (chromium === undefined) return this.skip();
    demo = await serveTinyDemo();
  });
  after(() => demo?.remove());

  it('keys alone: from the top of the page to a sample and back to the slider', async () => {
    const page = await demo.browser.page(demo.url);
    await page.until(opened('1.00'));
    const focus = `document.activeElement.title || document.activeElement.id`;
    const seen: string[] = [];
    for (let tab = 0; tab < 9; tab++) {
      await page.press('Tab');
      seen.push(await page.evaluate<string>(focus));
      if (seen.at(-1) === 'red') {
        await page.press('Enter');
        await page.until(found('red: '));
      }
      if (seen.at(-1) === 'width') break;
    }
    expect(seen).to.include.members(['file', 'camera', 'blue', 'red', 'width']);
    await page.press('Home');
    await page.until(opened('0.50'));
    expectClean(page);
  });

  it('360 pixels wide and dark: nothing to scroll sideways', async () => {
    const page = await demo.browser.page(demo.url);
    await page.send('Emulation.setDeviceMetricsOverride', { width: 360, height: 740, deviceScaleFactor: 2, mobile: true }); // prettier-ignore
    await page.send('Emulation.setEmulatedMedia', {
      features: [{ name: 'prefers-color-scheme', value: 'dark' }],
    });
    await page.until(opened('1.00'));
    await chooseFile(page, join(demo.run.test, 'red', '0.png'));
    await page.until(found('red: '));
    expect(await page.evaluate('document.documentElement.scrollWidth')).to.equal(360);
    const [body, colour] = await page.evaluate<string[]>(
      `[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]`,
    );
    const sum = (rgb: string) =>
      rgb
        .match(/\d+/g)!
        .map(Number)
        .reduce((a, b) => a + b);
    expect(sum(body!)).to.be.below(sum(colour!));
  });

  it('the camera: a frame goes in; a file that is no image: a line in the page', async () => {
    const page = await demo.browser.page(demo.url);
    await page.until(opened('1.00'));
    await page.evaluate(`document.getElementById('camera').click()`);
    await page.until(
      `!document.getElementById('take').hidden && document.getElementById('video').videoWidth > 0`,
    );
    await page.evaluate(`document.getElementById('take').click()`);
    await page.until(`document.querySelectorAll('#neighbours li').length === 12`);
    await page.evaluate(`document.getElementById('stop').click()`);
    await page.until(`!document.getElementById('camera').hidden && document.getElementById('take').hidden`);
    expectClean(page);
    await writeFile(join(demo.root, 'text.png'), 'no image');
    await chooseFile(page, join(demo.root, 'text.png'));
    await page.until(
      `document.getElementById('status').textContent.includes('is no image that this browser decodes')`,
    );
  });

  it('a picture that is dropped; WebGPU: the same neighbours as WebAssembly', async function () {
    const page = await demo.browser.page(demo.url);
    await page.until(opened('1.00'));
    const data = { items: [], files: [join(demo.run.test, 'red', '2.png')], dragOperationsMask: 1 };
    for (const type of ['dragEnter', 'dragOver', 'drop']) {
      await page.send('Input.dispatchDragEvent', { type, x: 200, y: 200, data });
    }
    await page.until(found('red: '));
    const cosines = () =>
      page.evaluate<number[]>(
        `[...document.querySelectorAll('#neighbours span')].map((span) => Number(span.textContent))`,
      );
    const before = await cosines();
    expect(before).to.have.length(12);
    expectClean(page);
    await page.evaluate(`document.getElementById('webgpu').click()`);
    await page.until(`document.getElementById('status').textContent.match(/graphics processor|embedded in/)`);
    if (await page.evaluate(`document.getElementById('webgpu').disabled`)) this.skip();
    await page.until(found('red: '));
    for (const [i, value] of (await cosines()).entries()) expect(value).to.be.closeTo(before[i]!, 2e-3);
    expectClean(page);
  });

  it('as a static folder, from a server that knows nothing of it', async () => {
    const output = join(demo.root, 'site');
    await exportDemo(demo.run.folder, output, { images: 20 });
    const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.mjs': 'text/javascript', '.wasm': 'application/wasm' }; // prettier-ignore
    const files = (await readdir(output, { recursive: true })).map((name) => name.replaceAll('\\', '/'));
    const server: Server = createServer((request, response) => {
      const name = request.url === '/sub/' ? 'index.html' : request.url!.replace('/sub/', '');
      if (!files.includes(name)) return void response.writeHead(404).end();
      response.setHeader('Content-Type', types[extname(name)] ?? 'application/octet-stream');
      void readFile(join(output, name)).then((content) => response.end(content));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const page = await demo.browser.page(`http://127.0.0.1:${(server.address() as AddressInfo).port}/sub/`);
      await page.until(opened('1.00'));
      await page.evaluate(`document.querySelector('#samples button[title=red]').click()`);
      await page.until(found('red: '));
      expectClean(page);
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  });
});
