import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { start } from '../cli/slimclr.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { Browser, type Page } from '../support/devtools.js';

/** A page whose model of a width is open says so. */
export const opened = (width: string) => `document.getElementById('label')?.textContent === '${width}'
  && document.getElementById('status').textContent !== 'width ${Number(width)} …'
  && document.getElementById('latency').textContent.endsWith(' ms')`;
/** It shows neighbours of a class. */
export const found = (
  verdict: string,
) => `document.getElementById('verdict').textContent.startsWith('${verdict}')
  && document.getElementById('status').textContent.startsWith('embedded in')`;

export function textOf(page: Page, id: string): Promise<string> {
  return page.evaluate(`document.getElementById('${id}').textContent`);
}

/** Chooses a file of this machine, as a person does. */
export async function chooseFile(page: Page, file: string): Promise<void> {
  const { root } = (await page.send('DOM.getDocument')) as { root: { nodeId: number } };
  const { nodeId } = await page.send('DOM.querySelector', { nodeId: root.nodeId, selector: '#file' });
  await page.send('DOM.setFileInputFiles', { nodeId, files: [file] });
}

/** Nothing in the console, nothing asked of another host. */
export function expectClean(page: Page): void {
  expect(page.console).to.deep.equal([]);
  expect(page.requests).to.have.length.above(10);
  for (const asked of page.requests) {
    expect(asked.replace('blob:', '')).to.match(/^http:\/\/(localhost|127\.0\.0\.1):|^data:,/);
  }
}

/** `slimclr demo` of a tiny run, its images blue and red, and a browser. */
export interface ServedDemo {
  readonly run: TinyRun;
  /** Folder of all. */
  readonly root: string;
  readonly url: string;
  readonly browser: Browser;
  readonly process: ReturnType<typeof start>;
  remove(): Promise<void>;
}

export async function serveTinyDemo(): Promise<ServedDemo> {
  const run = await makeTinyRun();
  const root = dirname(run.folder);
  const process = start('demo', run.folder, '--images', '20');
  const url = await new Promise<string>((resolve, reject) => {
    process.child.stdout!.on('data', (chunk: Buffer) => {
      const address = /http:\S+/.exec(chunk.toString())?.[0];
      if (address !== undefined) resolve(address);
    });
    process.exited.then(({ stderr }) => reject(new Error(stderr)), reject);
  });
  const camera = ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'];
  // A software device, where there is no graphics card.
  const graphics = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader', '--enable-features=Vulkan'];
  const browser = Browser.start(join(root, 'profile'), ...camera, ...graphics);
  const remove = async () => {
    await browser.close();
    if (process.child.exitCode === null) process.child.kill('SIGKILL');
    await process.exited;
    await rm(root, { recursive: true });
  };
  return { run, root, url, browser, process, remove };
}
