import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { embed } from '../../src/embedding/embed.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { exportRun } from '../../src/export/exportRun.js';
import { readExportManifest } from '../../src/export/manifest.js';
import { readNpy } from '../../src/onnx/npy.js';
import { Random } from '../../src/random.js';
import { latestCheckpoint } from '../../src/training/checkpoint.js';
import type { TrainingEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { resumedConfig } from '../../src/training/resumedConfig.js';
import { writeReport } from '../../src/report/report.js';
import { rejection } from '../support/rejection.js';
import { tiff, tiffHeight, tiffWidth } from '../data/tiff.js';
import { expectSameWeights } from './sameWeights.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

/** Two classes of TIFFs of 16 x 12 pixels: which half of the channels is bright. */
function writeTiffs(root: string, channels: number, bits: 8 | 16, count: number): void {
  const random = new Random(channels, bits, count);
  const levels = 2 ** bits;
  for (const [label, name] of ['first', 'second'].entries()) {
    mkdirSync(join(root, name), { recursive: true });
    for (let i = 0; i < count; i++) {
      const samples = channels * tiffWidth * tiffHeight;
      const data = bits === 8 ? new Uint8Array(samples) : new Uint16Array(samples);
      for (let k = 0; k < samples; k++) {
        const x = Math.floor(k / channels) % tiffWidth;
        const isBright = channels === 1 ? x < 8 === (label === 0) : (k % channels) % 2 === label;
        data[k] = Math.floor((isBright ? 0.6 : 0.2) * levels) + random.integer(levels / 4);
      }
      writeFileSync(join(root, name, `${i}.tif`), tiff({ bits, samples: channels, photometric: 1, data }));
    }
  }
}

const augmentation = { jitter: { saturation: 0, hue: 0 }, grayscale: 0 };

describe('a run on other channels', function () {
  this.timeout(240_000);
  let folder: string;
  before(() => void (folder = mkdtempSync(join(tmpdir(), 'slimclr-channels-'))));
  after(() => removeFolder(folder));

  for (const [channels, depth, target, form] of [
    [1, 8, 'auto', { input: 'uint8-nhwc' }],
    [4, 8, 'portable', { input: 'uint8-nhwc', resize: true }],
    [6, 16, 'auto', { resize: true }],
  ] as const) {
    const title = `${channels} channels of ${depth} bits, target ${target}`;
    it(`${title}: trained, resumed bit for bit, evaluated, exported and verified, embedded`, async () => {
      const root = join(folder, String(channels));
      const [train, test] = [join(root, 'train'), join(root, 'test')];
      writeTiffs(train, channels, depth, 12);
      writeTiffs(test, channels, depth, 6);
      const config = tinyConfig(train, {
        epochs: 2,
        data: { channels, depth },
        augmentation,
        runtime: { target },
        monitor: { kind: 'knn', everyEpochs: 1, neighbours: 5 },
        techniques: { slowStart: { kind: 'none' } },
      });
      const [whole, parts] = [join(root, 'whole'), join(root, 'parts')];
      const accuracies: number[] = [];
      const onEvent = (event: TrainingEvent) => {
        if (event.type === 'knn') accuracies.push(event.accuracies['w1.00']!.top1);
      };
      expect(await pretrain({ config, runFolder: whole, onEvent })).to.equal('done');
      expect(accuracies.length).to.equal(2);

      const controller = new AbortController();
      const stop = (event: TrainingEvent) => {
        if (event.type === 'step') controller.abort();
      };
      const { signal } = controller;
      expect(await pretrain({ config, runFolder: parts, onEvent: stop, signal })).to.equal('interrupted');
      const resumed = await resumedConfig(parts);
      expect(resumed.data).to.include({ channels, depth });
      expect(await pretrain({ config: resumed, runFolder: parts, resume: true })).to.equal('done');
      await expectSameWeights(parts, whole);

      const { widths } = await evaluateKnn(whole, { testSource: test, k: 5 });
      // Any network tells bright channels from dark ones.
      expect(widths[0]!.trained.top1).to.be.at.least(0.9);

      const report = await writeReport(whole);
      expect(
        (await readFile(report, 'utf8')).match(/<figure><img src="data:image\/jpeg/g),
      ).to.have.length.above(3);

      const size = config.data.imageSize;
      await exportRun(whole, { source: test });
      // A form of its own, the models of all widths.
      await exportRun(whole, { source: test, ...form });
      const { models } = await readExportManifest(join(whole, 'export', 'manifest.json'));
      const plain = models.find(({ file }) => file === 'resnet20.w0.50.onnx')!;
      expect(plain.inputs[0]!.shape).to.deep.equal(['batch', channels, size, size]);
      expect(plain.maxRelativeError).to.be.below(1e-4);
      const { order, scale, mean } = plain.preprocessing;
      expect({ order, scale, channels: mean.length }).to.deep.equal({
        order: channels === 1 ? 'grey' : 'bands',
        scale: depth === 16 ? 1 / 65_535 : 1 / 255,
        channels,
      });

      const formFile = models.find(({ file, width }) => width === 1 && file !== 'resnet20.w1.00.onnx')!.file;
      // By the run, by its exported model with the manifest, and by one with its metadata alone.
      const files: Record<string, string> = {
        run: whole,
        model: join(whole, 'export', 'resnet20.w1.00.onnx'),
        form: join(whole, 'export', formFile),
      };
      const features: Record<string, Float32Array> = {};
      for (const [name, from] of Object.entries(files)) {
        await embed(from, test, { output: join(root, `${name}.npy`) });
        features[name] = (await readNpy(join(root, `${name}.npy`))).data as Float32Array;
      }
      rmSync(join(whole, 'export', 'manifest.json'));
      await embed(files['model']!, test, { output: join(root, 'metadata.npy') });
      features['metadata'] = (await readNpy(join(root, 'metadata.npy'))).data as Float32Array;
      const largest = features['run']!.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (const [name, values] of Object.entries(features)) {
        expect(values.length, name).to.equal(12 * 64);
        for (const [i, value] of values.entries()) {
          // Bytes of resized images are rounded before they are normalised.
          const tolerance = formFile === 'resnet20.w1.00.u8.onnx' && name === 'form' ? 2e-2 : 1e-4;
          expect(value, `${name} ${i}`).to.be.closeTo(features['run']![i]!, tolerance * largest);
        }
      }
    });
  }

  it('19 channels, neither fewer than a block of the blocked kernels nor whole blocks: a step of training', async () => {
    const train = join(folder, 'wide');
    writeTiffs(train, 19, 16, 4);
    const config = tinyConfig(train, {
      epochs: 1,
      data: { channels: 19, depth: 16 },
      augmentation,
      techniques: { slowStart: { kind: 'none' } },
    });
    expect(await pretrain({ config, runFolder: join(folder, 'wide-run') })).to.equal('done');
  });

  it('what is not made of such runs: refused in one line', async () => {
    const runOf = (channels: number) => join(folder, String(channels), 'whole');
    const error = await rejection(exportRun(runOf(6), { input: 'uint8-nhwc' }));
    expect(error).to.have.property(
      'message',
      'export: the input uint8-nhwc of a run whose images keep 16 bits; accepted: float32-nchw',
    );
  });

  it('begun with the weights of a run of other channels: the first convolution is drawn, the rest is taken', async () => {
    const source = join(folder, '4', 'train');
    const init = { file: (await latestCheckpoint(join(folder, '1', 'whole'))).path };
    const notices: string[] = [];
    const config = tinyConfig(source, {
      epochs: 1,
      data: { channels: 4 },
      augmentation,
      init,
      techniques: { slowStart: { kind: 'none' } },
    });
    await pretrain({ config, runFolder: join(folder, 'begun'), onNotice: (line) => notices.push(line) });
    expect(notices.join('\n')).to.match(/tensors taken \(encoder, head\); drawn: encoder\.conv1\.weight/);
  });
});
