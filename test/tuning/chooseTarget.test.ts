import { expect } from 'chai';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../src/config/schema.js';
import { emitMethod } from '../../src/methods/index.js';
import type { BlockedKernels } from '../../src/engines/nchwcProbe.js';
import { stockPython, trainingPython } from '../support/pythons.js';
import { targets } from '../../src/targets/index.js';
import { chooseTarget } from '../../src/tuning/chooseTarget.js';
import type { LayerBench } from '../../src/tuning/layerBench.js';
import { targetOf, type TargetRecord } from '../../src/tuning/targetRecord.js';
import { tinyConfig } from '../programs/tiny.js';
import { removeFolder } from '../support/removeFolder.js';

const config = (runtime: Partial<Config['runtime']> = {}) =>
  tinyConfig({ runtime: { target: 'auto', threads: 1, ...runtime } });
const blocks = (blockSize: 8 | 16) => () =>
  Promise.resolve<BlockedKernels>({ blockSize, plainGroups: false });
const hashes = (config: Config, record: TargetRecord) =>
  emitMethod(config, targetOf(record)).manifest.graphs.map(({ sha256 }) => sha256);

/** A machine on which nothing must be measured. */
const noBench: LayerBench = {
  asked: () => expect.fail('asked'),
  times: () => expect.fail('measured'),
};

describe('chooseTarget: ResNet-20, 8x8', function () {
  this.timeout(60_000);
  let cacheDirectory: string;
  before(() => {
    cacheDirectory = mkdtempSync(join(tmpdir(), 'slimclr-tuning-'));
  });
  after(() => removeFolder(cacheDirectory));

  it('tune off: the built-in choices, so the graphs that emission gives on any machine', async () => {
    for (const block of [8, 16] as const) {
      const off = config({ tune: 'off' });
      const record = await chooseTarget(off, { cacheDirectory, probe: blocks(block), bench: noBench });
      expect(record).to.include({ target: 'cpu', block });
      if (block === 16) {
        const builtIn = emitMethod(off, targets.cpu).manifest.graphs.map(({ sha256 }) => sha256);
        expect(hashes(off, record)).to.deep.equal(builtIn);
      }
    }
  });

  it('the config names portable, on any provider: portable without a reason, nothing probed', async () => {
    const probe = () => expect.fail('probed');
    for (const provider of ['cpu', 'webgpu'] as const) {
      const runtime = { target: 'portable', provider } as const;
      const record = await chooseTarget(config(runtime), { cacheDirectory, probe, bench: noBench });
      expect(record).to.deep.equal({ format: 'slimclr-tuning', version: 1, target: 'portable' });
    }
  });

  it('provider cuda without measurements: the built-in choices of the cuda target, nothing probed', async () => {
    const probe = () => expect.fail('probed');
    const onCuda = config({ provider: 'cuda', tune: 'off' });
    const record = await chooseTarget(onCuda, { cacheDirectory, probe, bench: noBench });
    expect(record.target).to.equal('cuda');
    const builtIn = emitMethod(onCuda, targets.cuda).manifest.graphs.map(({ sha256 }) => sha256);
    expect(hashes(onCuda, record)).to.deep.equal(builtIn);
  });

  for (const [wheel, { python, missing }, target] of [
    ['onnxruntime-training', trainingPython(), 'ort-training'],
    ['onnxruntime', stockPython(), 'cuda'],
  ] as const) {
    it(`provider cuda, engine python with ${wheel}: ${target}${missing}`, async function () {
      if (missing !== '') this.skip();
      const onCuda = config({ engine: 'python', python, provider: 'cuda', tune: 'off' });
      const record = await chooseTarget(onCuda, { cacheDirectory, bench: noBench });
      expect(record.target).to.equal(target);
      const half = config({ ...onCuda.runtime, precision: 'float16' });
      expect((await chooseTarget(half, { cacheDirectory, bench: noBench })).target).to.equal(target);
      if (record.target !== 'ort-training') return;
      expect(record.cuda).to.equal(true);
      const onCpu = config({ ...onCuda.runtime, target, provider: 'cpu' });
      const other = await chooseTarget(onCpu, { cacheDirectory, bench: noBench });
      expect(other).to.deep.equal({ ...record, cuda: false });
    });
  }

  it('provider webgpu: the webgpu target, nothing probed or measured', async () => {
    const probe = () => expect.fail('probed');
    const onWebGpu = config({ provider: 'webgpu' });
    const record = await chooseTarget(onWebGpu, { cacheDirectory, probe, bench: noBench });
    expect(record.target).to.equal('webgpu');
    const emitted = emitMethod(onWebGpu).manifest.graphs.map(({ sha256 }) => sha256);
    expect(hashes(onWebGpu, record)).to.deep.equal(emitted);
  });

  it('a failed probe: portable, with the reason', async () => {
    const probe = () => Promise.resolve({ reason: 'no blocked kernels are known for arm64' });
    const record = await chooseTarget(config(), { cacheDirectory, probe, bench: noBench });
    expect(record).to.include({ target: 'portable', reason: 'no blocked kernels are known for arm64' });
  });

  it('measured on this machine once: the second time the answers come from the cache', async () => {
    const messages: string[] = [];
    const probe = blocks(16);
    const first = await chooseTarget(config(), {
      cacheDirectory,
      probe,
      onProgress: (message) => messages.push(message),
    });
    expect(messages[0]).to.match(/measuring .*: 0 %$/);
    expect(await chooseTarget(config(), { cacheDirectory, probe, bench: noBench })).to.deep.equal(first);
  });

  it('a cache that cannot be written: a notice, and the measurements are used', async () => {
    const file = join(cacheDirectory, 'file');
    writeFileSync(file, '');
    const notices: string[] = [];
    const record = await chooseTarget(config(), {
      cacheDirectory: file,
      probe: blocks(16),
      onNotice: (notice) => notices.push(notice),
    });
    expect(record.target).to.equal('cpu');
    expect(notices).to.have.length(1);
    expect(notices[0]).to.match(/^measurements are not kept for the next run: .*ENOTDIR/);
  });
});
