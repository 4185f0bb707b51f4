import { expect } from 'chai';
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InProcessEngine } from '../../src/engines/inProcessEngine.js';
import {
  cudaBuiltIn,
  cudaKey,
  cudaParts,
  noCudaChoices,
  openForms,
  type CudaConv,
  type CudaPart,
} from '../../src/targets/cuda/choices.js';
import { askCuda, measuredCuda } from '../../src/tuning/chooseCuda.js';
import { EngineConvBench, type ConvBench } from '../../src/tuning/convBench.js';
import { cudaTuningFiles } from '../../src/tuning/cudaTuningCache.js';
import { tuneCuda } from '../../src/tuning/tuneCuda.js';
import { tinyConfig } from '../programs/tiny.js';
import { removeFolder } from '../support/removeFolder.js';

const conv = (channels: number, change: Partial<CudaConv> = {}): CudaConv => ({
  dtype: 'float32',
  ...{ batch: 2, inputs: channels, outputs: channels, window: [3, 3], inputSize: [6, 6], outputSize: [6, 6] },
  ...{ strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], group: 1 },
  ...change,
});
const asked = (of: CudaConv, part: CudaPart) => ({ conv: of, part, form: cudaBuiltIn[part](of) });

/** A device on which a form takes what `time` says. */
class FakeBench implements ConvBench {
  readonly timed: string[] = [];

  constructor(private readonly time: (form: string, conv: CudaConv) => number) {}

  times(of: CudaConv, part: CudaPart, forms: readonly string[]): Promise<number[]> {
    this.timed.push(`${of.inputs} ${part}: ${forms.join(', ')}`);
    return Promise.resolve(forms.map((form) => this.time(form, of)));
  }
}

describe('tuneCuda', () => {
  const run = (bench: ConvBench, channels: readonly number[], options = {}) =>
    tuneCuda({
      questions: channels.map((count) => asked(conv(count), 'weightGradient')),
      known: noCudaChoices,
      bench,
      ...options,
    });

  it('the fastest form is taken when two measurements agree; the costliest layers come first', async () => {
    const bench = new FakeBench((form) => (form === 'columns' ? 1 : 2));
    const { weightGradient } = await run(bench, [8, 16]);
    expect(weightGradient).to.deep.equal({ [cudaKey(conv(8))]: 'columns', [cudaKey(conv(16))]: 'columns' });
    expect(bench.timed.map((line) => line.split(' ')[0])).to.deep.equal(['16', '16', '8', '8']);
    expect(bench.timed[1]).to.match(/: \w+, columns$/);
  });

  it('what is not faster by more than noise: the built-in form stays', async () => {
    const usual = cudaBuiltIn.weightGradient(conv(8));
    const bench = new FakeBench((form) => (form === usual ? 1 : 0.98));
    expect((await run(bench, [8])).weightGradient).to.deep.equal({ [cudaKey(conv(8))]: usual });
    let calls = 0;
    const once = new FakeBench((form) => (form === usual ? 1 : calls++ < 3 ? 0.5 : 1));
    expect((await run(once, [8])).weightGradient).to.deep.equal({ [cudaKey(conv(8))]: usual });
  });

  it('a form that lacks memory is not taken; one that the built-in form lacks memory for is', async () => {
    const usual = cudaBuiltIn.weightGradient(conv(8));
    const bench = new FakeBench((form) => (form === usual ? Infinity : form === 'columns' ? 1 : 3));
    expect((await run(bench, [8])).weightGradient).to.deep.equal({ [cudaKey(conv(8))]: 'columns' });
  });

  it('a form that is hopeless for three layers in a row is not tried for the fourth', async () => {
    const bench = new FakeBench((form) => (form === 'convolution' ? 100 : 1));
    await run(bench, [64, 32, 16, 8]);
    expect(bench.timed.map((line) => line.includes('convolution'))).to.deep.equal([true, true, true, false]);
  });

  it('what is known is not measured again, and nothing when the time is over', async () => {
    const bench = new FakeBench(() => 1);
    const known = { ...noCudaChoices, weightGradient: { [cudaKey(conv(8))]: 'columns' as const } };
    expect(await run(bench, [8], { known })).to.deep.equal(known);
    expect(await run(bench, [8], { budget: 0, now: () => 0 })).to.deep.equal(noCudaChoices);
    expect(bench.timed).to.deep.equal([]);
  });
});

describe('EngineConvBench on the CPU', () => {
  let engine: InProcessEngine;
  before(async () => {
    engine = await InProcessEngine.open({ provider: 'cpu', threads: 1 });
  });
  after(() => engine.close());

  const layers = {
    '3x3 pad 1': conv(4),
    '1x1': conv(4, { window: [1, 1], pads: [0, 0, 0, 0] }),
    '3x3 in two groups': conv(4, { group: 2 }),
    '3x3 stride 2': conv(4, { strides: [2, 2], outputSize: [3, 3] }),
  };
  for (const [title, layer] of Object.entries(layers)) {
    it(`${title}: every form of every part is timed`, async () => {
      const bench = new EngineConvBench(engine);
      for (const part of cudaParts) {
        const times = await bench.times(layer, part, openForms(layer)[part]);
        expect(times.length).to.equal(openForms(layer)[part].length);
        for (const time of times) expect(time).to.be.greaterThan(0).and.lessThan(Infinity);
      }
    });
  }

  it('a form that ONNX Runtime refuses takes forever, the others do not', async () => {
    // Its CPU provider convolves in float32 only, and multiplies matrices in float64 too.
    const pointwise = conv(4, { dtype: 'float64', window: [1, 1], pads: [0, 0, 0, 0] });
    const times = await new EngineConvBench(engine).times(pointwise, 'forward', ['convolution', 'product']);
    expect(times[0]).to.equal(Infinity);
    expect(times[1]).to.be.greaterThan(0).and.lessThan(Infinity);
  });
});

describe('measuredCuda', () => {
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'slimclr-cuda-'));
  });
  afterEach(() => removeFolder(directory));
  const key = { device: 'a GPU, 1.0', onnxruntime: '1.29.0', slimclr: '0.1.0', options: '{}' };

  it('measured once: every question is answered, and the second time from the cache', async function () {
    this.timeout(120_000);
    const config = tinyConfig({ widths: [1], runtime: { target: 'cuda', threads: 1 } });
    const messages: string[] = [];
    const first = await measuredCuda(config, {
      cacheDirectory: directory,
      onProgress: (message) => messages.push(message),
    });
    expect(messages[0]).to.match(/^measuring the kernels of this device for this config: 0 %$/);
    const { choices } = askCuda(config, cudaBuiltIn);
    expect(first.target).to.equal('cuda');
    for (const part of cudaParts) {
      const answers = (first as { choices: typeof choices }).choices[part];
      expect(Object.keys(answers)).to.deep.equal(Object.keys(choices[part]));
    }
    expect(readdirSync(join(directory, 'tuning'))).to.have.length(1);
    const none = () => expect.fail('measured');
    const second = await measuredCuda(config, { cacheDirectory: directory, onProgress: none });
    expect(second).to.deep.equal(first);
  });

  it('the cache: kept by key, shapes add up; a torn file and another device count as none', async () => {
    const [one, other] = [cudaKey(conv(4)), cudaKey(conv(8))];
    await cudaTuningFiles.write(directory, key, { ...noCudaChoices, weightGradient: { [one]: 'rows' } });
    await cudaTuningFiles.write(directory, key, { ...noCudaChoices, weightGradient: { [other]: 'samples' } });
    expect((await cudaTuningFiles.read(directory, key)).weightGradient).to.deep.equal({
      [one]: 'rows',
      [other]: 'samples',
    });
    const elsewhere = { ...key, device: 'another GPU, 1.0' };
    expect(await cudaTuningFiles.read(directory, elsewhere)).to.deep.equal(noCudaChoices);
    const [file] = readdirSync(join(directory, 'tuning'));
    writeFileSync(join(directory, 'tuning', file!), '{"format"');
    expect(await cudaTuningFiles.read(directory, key)).to.deep.equal(noCudaChoices);
  });
});
