import { expect } from 'chai';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, symlinkSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Graph } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { loadFailure, ortLibrary, refusedVersion } from '../../src/engines/ortLibrary.js';
import { executable, writeTinyConfig } from '../cli/slimclr.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { modelBytes } from '../support/runGraph.js';
import { removeFolder } from '../support/removeFolder.js';

/** Runs node with an environment of its own; gives exit code and output. */
async function node(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const { PATH } = process.env;
  const child = spawn(process.execPath, args, { env: { PATH, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

describe('ONNX Runtime keeps no telemetry: files under an empty home', function () {
  this.timeout(120_000);
  let root: string;
  before(async () => {
    root = await mkdtemp(join(tmpdir(), 'slimclr-home-'));
  });
  after(() => removeFolder(root));

  /** The files that a process with an empty home writes there. */
  async function filesOf(name: string, args: readonly string[], kept: NodeJS.ProcessEnv = {}) {
    const home = join(root, name);
    mkdirSync(home);
    const { code, stderr } = await node(args, { HOME: home, XDG_CACHE_HOME: join(home, 'cache'), ...kept });
    expect(code, stderr).to.equal(0);
    return readdirSync(home, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => entry.name);
  }

  const child = join(import.meta.dirname, 'telemetryChild.js');
  const inWorker = `new (require('node:worker_threads').Worker)(${JSON.stringify(child)})
    .on('error', (error) => { throw error; })`;

  it('without the door: there are some, so that the cases below can tell', async () => {
    const graph = new Graph('alone');
    graph.output('y', new Builder(graph).op('Abs', [graph.input('x', { dtype: 'float32', shape: [2] })]));
    const model = join(root, 'model.onnx');
    await writeFile(model, modelBytes(graph));
    const library = JSON.stringify(join(import.meta.dirname, '../../../node_modules/onnxruntime-node'));
    const script = `require(${library}).InferenceSession.create(${JSON.stringify(model)})
      .then(() => setTimeout(() => {}, 500))`;
    expect(await filesOf('alone', ['-e', script])).to.not.deep.equal([]);
  });

  it('the library', async () => {
    expect(await filesOf('library', [child])).to.deep.equal([]);
  });

  it('the library where the environment says otherwise', async () => {
    expect(await filesOf('contrary', [child], { ORT_DISABLE_TELEMETRY: '0' })).to.deep.equal([]);
  });

  it('the library in a worker thread of a process that does not import it', async () => {
    expect(await filesOf('worker', ['-e', inWorker])).to.deep.equal([]);
  });

  it('the same while the main thread is busy', async () => {
    const busy = `${inWorker}; const end = Date.now() + 1500; while (Date.now() < end);`;
    expect(await filesOf('busy', ['-e', busy])).to.deep.equal([]);
  });

  it('slimclr pretrain: its process, the one that trains, two replicas', async () => {
    const images = join(root, 'images');
    await writeImages(images, 8, 1);
    const config = writeTinyConfig(root, images, {
      epochs: 1,
      accumulation: 2,
      batchSize: 4,
      techniques: {},
      runtime: { threads: 1, replicas: 2, tune: 'off' },
    });
    const args = ['pretrain', '--config', config, '--output', join(root, 'run')];
    expect(await filesOf('pretrain', [executable, ...args])).to.deep.equal([]);
  });

  it('slimclr doctor: its process and a trial process a provider', async () => {
    expect(await filesOf('doctor', [executable, 'doctor'])).to.deep.equal([]);
  });
});

describe('libraries of ONNX Runtime', () => {
  it('versions that are accepted', () => {
    for (const version of ['1.18.0', '1.29.0', '1.40.1']) expect(refusedVersion(version)).to.equal(null);
    for (const version of ['1.17.3', '0.5.0', '2.0.0', 'nightly']) {
      expect(refusedVersion(version)).to.equal(`ONNX Runtime ${version}; accepted: 1.18 or newer, before 2`);
    }
  });

  it('files that are no such library: one line that says what is accepted', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'slimclr-library-'));
    const text = join(folder, 'libonnxruntime.so');
    await writeFile(text, 'not a library');
    for (const path of [join(folder, 'absent.so'), text]) {
      expect(() => ortLibrary(path)).to.throw(
        /^[^\n]*\.so cannot be loaded as ONNX Runtime \([^\n]*\); accepted: [^\n]*$/,
      );
    }
    await rm(folder, { recursive: true });
  });
});

describe('ONNX Runtime that is not there', () => {
  const missing = { code: 'MODULE_NOT_FOUND', message: "Cannot find module '../bin/x.node'\nRequire stack" };
  const linux = { platform: 'linux', arch: 'x64', glibc: '2.36' };

  it('platforms without a binary: which there are', () => {
    expect(loadFailure(missing, { platform: 'darwin', arch: 'x64', glibc: undefined })).to.equal(
      'onnxruntime-node has no binary for darwin x64; accepted: linux x64, linux arm64, darwin arm64, win32 x64, ' +
        'win32 arm64 (on Apple silicon: a Node.js for arm64)',
    );
    expect(loadFailure(missing, { ...linux, arch: 'riscv64' })).to.match(/^[^\n]* linux riscv64; accepted: /);
  });

  it('musl: an image with glibc', () => {
    const error = { code: 'ERR_DLOPEN_FAILED', message: 'Error loading shared library ld-linux-x86-64.so.2' };
    expect(loadFailure(error, { ...linux, glibc: undefined })).to.match(/musl.*; accepted: Linux with glibc/);
  });

  it('a library that does not load: its first line', () => {
    const error = { code: 'ERR_DLOPEN_FAILED', message: "version `GLIBC_2.38' not found\nmore" };
    expect(loadFailure(error, linux)).to.match(
      /^onnxruntime-node cannot be loaded \(version `GLIBC_2.38'.*\);/,
    );
  });

  describe('an installation without packages', () => {
    let root: string;
    let entry: string;
    let packages: string;
    before(async () => {
      root = await mkdtemp(join(tmpdir(), 'slimclr-install-'));
      entry = join(root, 'bin', 'slimclr.js');
      packages = join(root, 'node_modules');
      const project = join(import.meta.dirname, '../../..');
      await cp(join(project, 'bin'), join(root, 'bin'), { recursive: true });
      await cp(join(project, 'dist', 'src'), join(root, 'dist', 'src'), { recursive: true });
      await cp(join(project, 'package.json'), join(root, 'package.json'));
      mkdirSync(packages);
      for (const name of readdirSync(join(project, 'node_modules'))) {
        if (!name.startsWith('onnxruntime-')) {
          symlinkSync(join(project, 'node_modules', name), join(packages, name));
        }
      }
    });
    after(() => removeFolder(root));

    it('without onnxruntime-node: --help and --version work', async () => {
      for (const option of ['--help', '--version']) {
        const { code, stdout, stderr } = await node([entry, option]);
        expect({ code, stderr }).to.deep.equal({ code: 0, stderr: '' });
        expect(stdout).to.match(/slimclr|^\d+\.\d+/);
      }
    });

    it('without onnxruntime-node: what needs it says so in one line', async () => {
      const images = join(root, 'images');
      await writeImages(images, 8, 1);
      const config = writeTinyConfig(root, images);
      const { code, stderr } = await node([
        entry,
        'pretrain',
        '--config',
        config,
        '--output',
        join(root, 'r'),
      ]);
      expect(stderr).to.match(
        /^slimclr: onnxruntime-node is not installed, or not whole; accepted: [^\n]*\n$/,
      );
      expect(stderr).to.not.match(/defect|\n +at /);
      expect(code).to.equal(1);
    });

    it('without onnxruntime-node: doctor says what is there and why nothing trains', async () => {
      const { code, stdout } = await node([entry, 'doctor']);
      expect(stdout).to.match(/\nonnxruntime +does not load\n/);
      expect(stdout).to.match(/cpu +does not train: onnxruntime-node is not installed/);
      expect(stdout)
        .to.match(/\ntelemetry +off/)
        .and.match(/\nthreads +\d+ of \d+ cores/);
      expect(code).to.equal(1);
    });

    it('without sharp, or without its library: one line that blames the installation', async () => {
      await rm(join(packages, 'sharp'));
      const missing =
        /^slimclr: Cannot find package 'sharp' [^\n]*; accepted: the packages as `npm install` leaves them\n$/;
      const info = await node([entry, 'data', 'info', root]);
      expect(info.stderr).to.match(missing);
      expect(info.code).to.equal(1);
      // Of its packages, those with the library are named after the platform.
      const modules = join(import.meta.dirname, '../../../node_modules');
      await cp(join(modules, 'sharp'), join(packages, 'sharp'), { recursive: true });
      await rm(join(packages, '@img'));
      mkdirSync(join(packages, '@img'));
      symlinkSync(join(modules, '@img', 'colour'), join(packages, '@img', 'colour'));
      const broken = await node([entry, 'data', 'info', root]);
      expect(broken.stderr).to.match(
        /^slimclr: Could not load the "sharp" module [^\n]*; accepted: [^\n]*\n$/,
      );
      expect(broken.code).to.equal(1);
    });

    it('without commander: one line', async () => {
      await rm(join(packages, 'commander'));
      const { code, stderr } = await node([entry, '--help']);
      expect(stderr).to.match(
        /^slimclr: it does not start \(Cannot find package 'commander'.*; accepted: [^\n]*\n$/,
      );
      expect(code).to.equal(1);
    });
  });
});
