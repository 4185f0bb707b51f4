import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect } from 'chai';
import { decodeImage } from '../../src/data/imageDecoder.js';
import { ImageTransform } from '../../src/data/transform.js';
import { HostGraph } from '../../src/engines/hostGraph.js';
import type { TinyRun } from '../evaluation/tinyRun.js';
import { codeBlocks } from '../package/markdown.js';
import { repository } from '../package/tarball.js';
import { chromium } from '../support/browser.js';
import { cardPython } from '../support/pythons.js';
import { tensorOf } from '../support/tensors.js';

const exec = promisify(execFile);
const modules = join(repository, 'node_modules');

const { python, missing } = cardPython();

/** For the titles of tests: empty where there is a Python with onnxruntime and Pillow. */
export const noPython = missing;

/** Lets programs in the folders of a run find the packages of the repository. */
export function linkModules(run: TinyRun): Promise<void> {
  return symlink(modules, join(run.folder, 'node_modules'), 'dir');
}

/** The programs of a model card. */
export type Program = 'Node' | 'browser' | 'Python';

/** What a program of the model card in a folder prints of images. */
export async function printed(
  program: Program,
  folder: string,
  images: readonly string[],
): Promise<string[]> {
  const card = await readFile(join(folder, 'README.md'), 'utf8');
  const [node, browser] = codeBlocks(card, 'js');
  const code = { Node: node, browser, Python: codeBlocks(card, 'python')[0] }[program]!;
  const script = program === 'Python' ? 'embed.py' : 'embed.mjs';
  await writeFile(join(folder, script), code);
  if (program === 'browser') return inBrowser(folder, images);
  const command = program === 'Python' ? python : process.execPath;
  const outputs: string[] = [];
  for (const image of images) outputs.push((await exec(command, [script, image], { cwd: folder })).stdout);
  return outputs;
}

/** What a plain model of the tiny run makes of the file of an image, by our own preprocessing. */
export async function outputsOf(
  { config }: TinyRun,
  model: string,
  image: string,
): Promise<Record<string, number[]>> {
  const { mean, std } = config.data;
  const input = new Float32Array(3 * 16 * 16);
  new ImageTransform(16, mean, std).evaluation(await decodeImage(image), input, 0);
  const graph = await HostGraph.open(await readFile(model), { provider: 'cpu', threads: 1 });
  const outputs = await graph.run({ images: tensorOf('float32', input, [1, 3, 16, 16]) });
  await graph.close();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { data }]) => [name, Array.from(data as Float32Array)]),
  );
}

/** Whether the features that a program prints of images are those of a plain model of the tiny run. */
export async function expectFeatures(
  run: TinyRun,
  model: string,
  images: readonly string[],
  texts: readonly string[],
): Promise<void> {
  expect(texts).to.have.lengthOf(images.length);
  for (const [i, text] of texts.entries()) {
    const { features } = await outputsOf(run, model, images[i]!);
    expectClose(text.trim().split(' ').map(Number), features!, images[i]!);
  }
}

/** To 1e-5 of the largest one. */
export function expectClose(found: readonly number[], features: readonly number[], what: string): void {
  expect(found).to.have.lengthOf(features.length);
  const largest = Math.max(...features.map(Math.abs));
  for (const [c, value] of features.entries()) {
    expect(found[c], what).to.be.closeTo(value, 1e-5 * largest);
  }
}

const types: Readonly<Record<string, string>> = { '.mjs': 'text/javascript', '.html': 'text/html', '.wasm': 'application/wasm', '.json': 'application/json' }; // prettier-ignore

/** What the page's text is after each of the files was chosen. */
async function inBrowser(folder: string, images: readonly string[]): Promise<string[]> {
  const page = `<!doctype html><script type="importmap">
{ "imports": { "onnxruntime-web": "/modules/onnxruntime-web/dist/ort.wasm.min.mjs" } }
</script><input type="file"><script type="module">
const report = (body) => fetch('/report', { method: 'POST', body: JSON.stringify(body) });
try {
  await import('/embed.mjs');
  const texts = [];
  for (let i = 0; i < ${images.length}; i++) {
    const chosen = new DataTransfer();
    chosen.items.add(new File([await (await fetch('/image/' + i)).blob()], 'image.png', { type: 'image/png' }));
    const input = document.querySelector('input');
    input.files = chosen.files;
    const before = document.body.childNodes.length;
    input.dispatchEvent(new Event('change'));
    while (document.body.childNodes.length === before) await new Promise((next) => setTimeout(next, 10));
    texts.push(document.body.lastChild.textContent);
  }
  await report({ texts });
} catch (error) {
  await report({ error: String(error) });
}
</script>`;
  let tell: (body: string) => void;
  const told = new Promise<string>((resolve) => (tell = resolve));
  const server = createServer((request, response) => {
    const path = request.url!;
    if (request.method === 'POST') {
      let body = '';
      request.on('data', (part) => (body += String(part)));
      request.on('end', () => {
        response.end();
        tell(body);
      });
      return;
    }
    response.setHeader('content-type', types[extname(path)] ?? (path === '/' ? 'text/html' : 'image/png'));
    if (path === '/') {
      response.end(page);
      return;
    }
    const image = /^\/image\/(\d+)$/.exec(path);
    const file = image
      ? images[Number(image[1])]!
      : path.startsWith('/modules/')
        ? join(modules, path.slice('/modules/'.length))
        : join(folder, path);
    try {
      response.end(readFileSync(file));
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const profile = await mkdtemp(join(tmpdir(), 'slimclr-card-'));
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', `--user-data-dir=${profile}`];
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const browser = spawn(chromium!, [...flags, '--remote-debugging-port=0', address], { stdio: 'ignore' });
  const ended = new Promise((resolve) => browser.once('exit', resolve));
  try {
    const report = JSON.parse(await told) as { texts?: string[]; error?: string };
    expect(report.error).to.equal(undefined);
    return report.texts!;
  } finally {
    browser.kill();
    await ended;
    server.closeAllConnections();
    server.close();
    await rm(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}
