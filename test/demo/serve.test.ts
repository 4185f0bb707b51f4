import { expect } from 'chai';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serveSite, type SiteServer } from '../../src/demo/serve.js';
import { writeSite, type Site } from '../../src/demo/site.js';
import { majority, nearest } from '../../src/demo/page/neighbours.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('demo: a site of static files', () => {
  let root: string;
  let site: Site;
  let server: SiteServer;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'slimclr-site-'));
    await writeFile(join(root, 'model.onnx'), 'weights');
    await writeFile(join(root, 'secret'), 'secret');
    site = new Map([
      ['index.html', { content: '<!doctype html>' }],
      ['code/a b.js', { content: 'export {};' }],
      ['models/model.onnx', { source: join(root, 'model.onnx') }],
      ['models/gone.onnx', { source: join(root, 'gone.onnx') }],
    ]);
    server = await serveSite(site, 0);
  });
  after(async () => {
    await server?.close();
    await removeFolder(root);
  });

  /** Asks for a path as it is, which `fetch` would clean. */
  const ask = (path: string, { method = 'GET', host = 'localhost' } = {}) =>
    new Promise<{ status: number; type: string | undefined; text: string }>((resolve, reject) => {
      const { port } = new URL(server.url);
      request({ host: '127.0.0.1', port, path, method, headers: { host } }, (response) => {
        let text = '';
        response.on('data', (chunk: Buffer) => (text += chunk.toString()));
        response.on('end', () =>
          resolve({ status: response.statusCode!, type: response.headers['content-type'], text }),
        );
      })
        .on('error', reject)
        .end();
    });

  it('its files, with their types', async () => {
    expect(await ask('/')).to.deep.equal({
      status: 200,
      type: 'text/html; charset=utf-8',
      text: '<!doctype html>',
    });
    expect(await ask('/code/a%20b.js?x=1')).to.deep.equal({ status: 200, type: 'text/javascript; charset=utf-8', text: 'export {};' }); // prettier-ignore
    expect(await ask('/models/model.onnx')).to.include({ status: 200, text: 'weights' });
    expect(await ask('/', { method: 'HEAD' })).to.include({ status: 200, text: '' });
  });

  it('nothing else: no path out of it, no other method, no other name of this machine', async () => {
    for (const path of [
      '/../secret',
      '/models/../../secret',
      '/%2e%2e/secret',
      '/models/',
      '/%',
      '/..%2fsecret',
      `/${root}/secret`,
    ]) {
      expect((await ask(path)).status, path).to.equal(404);
    }
    expect((await ask('/', { method: 'POST' })).status).to.equal(405);
    expect((await ask('/', { host: 'evil.example' })).status).to.equal(403);
    expect((await ask('/models/gone.onnx')).status).to.equal(500);
  });

  it('a port that is taken: one line', async () => {
    const port = Number(new URL(server.url).port);
    expect((await rejection(serveSite(site, port))).message).to.match(
      /port \d+ cannot be used .*; accepted: another, 0/,
    );
  });

  it('as a folder; one that is interrupted has no page', async () => {
    const whole = new Map([...site].filter(([path]) => !path.includes('gone')));
    await writeSite(whole, join(root, 'out'));
    expect(await readFile(join(root, 'out', 'code', 'a b.js'), 'utf8')).to.equal('export {};');
    expect(await readFile(join(root, 'out', 'index.html'), 'utf8')).to.equal('<!doctype html>');
    await rejection(writeSite(site, join(root, 'torn')));
    expect(existsSync(join(root, 'torn', 'index.html'))).to.equal(false);
  });
});

describe('demo: neighbours of a picture', () => {
  const bank = Float32Array.of(1, 0, 0, 1, 0.6, 0.8, -1, 0);
  it('by cosine, nearest first', () => {
    const found = nearest(Float32Array.of(0.8, 0.6), bank, 3);
    expect(found.map(({ index }) => index)).to.deep.equal([2, 0, 1]);
    expect(found[0]!.cosine).to.be.closeTo(0.96, 1e-6);
  });
  it('the class of most; of two alike the one of the nearest; none without classes', () => {
    const of = (...indices: number[]) => indices.map((index) => ({ index, cosine: 0 }));
    expect(majority(of(0, 1, 2), [7, 8, 8])).to.deep.equal({ label: 8, votes: 2 });
    expect(majority(of(1, 0), [7, 8])).to.deep.equal({ label: 8, votes: 1 });
    expect(majority(of(0), null)).to.equal(null);
  });
});
