import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { slowerInt8, type Conversion } from '../../src/export/conversion.js';
import { exportRun, type ExportOptions } from '../../src/export/exportRun.js';
import { readExportManifest } from '../../src/export/manifest.js';
import { decodeModel } from '../../src/onnx/model.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('exportRun: other precisions, ResNet-20, widths 1 and 0.5', function () {
  this.timeout(60_000);
  let run: TinyRun;
  before(async () => {
    run = await makeTinyRun();
    await evaluateProbe(run.folder, { testSource: run.test, epochs: 5 });
  });
  after(() => removeFolder(dirname(run.folder)));

  const convert = async (options: ExportOptions) => {
    const conversions: Conversion[] = [];
    const notices: string[] = [];
    const { models } = await exportRun(run.folder, {
      ...options,
      onConversion: (conversion) => conversions.push(conversion),
      onNotice: (line) => notices.push(line),
    });
    return { models, conversions, notices };
  };
  const dtypes = async (file: string) => {
    const { initializers } = decodeModel(await readFile(join(run.folder, file)));
    return new Set(initializers.map(({ type }) => type.dtype));
  };

  it('int8: measured before and after, in the manifest with how it was made', async () => {
    const output = join(run.folder, 'int8');
    const { models, conversions } = await convert({
      precision: 'int8',
      output,
      classifier: true,
      conversion: { testSource: run.test, images: 10, force: true },
    });
    expect(models.map(({ file }) => file)).to.deep.equal([
      'int8/resnet20.w1.00.classifier.int8.onnx',
      'int8/resnet20.w0.50.classifier.int8.onnx',
    ]);
    const described = (await readExportManifest(output)).models;
    for (const [i, conversion] of conversions.entries()) {
      const { before, after, quantization, cosine } = conversion;
      expect(conversion).to.include({ precision: 'int8', reason: null, images: 10 });
      expect(quantization).to.deep.equal({
        activations: 'uint8',
        calibration: 'minmax',
        layers: 22,
        float: [],
      });
      expect(cosine).to.be.within(0.99, 1.000001);
      expect(after.bytes).to.be.below(before.bytes / 2);
      for (const { knn, probe, latency } of [before, after]) {
        expect(knn!.top1).to.be.within(0, 1);
        expect(probe!.top1).to.be.within(0, 1);
        expect(latency).to.be.above(0);
      }
      const { file, precision, conversion: facts, accuracy } = described[i]!;
      expect([join('int8', file), precision]).to.deep.equal([models[i]!.file, 'int8']);
      expect(accuracy.knn).to.deep.equal({
        ...after.knn!,
        ...{ source: 'test', images: 12, k: 24, temperature: 0.1 },
      });
      expect(accuracy.probe).to.deep.equal({
        ...after.probe!,
        ...{ source: 'test', images: 12, protocol: 'features' },
      });
      expect(facts).to.deep.equal({
        ...{ cosine, images: 10, source: 'train', quantization },
        float32: {
          bytes: before.bytes,
          milliseconds: before.latency,
          knn: before.knn!.top1,
          probe: before.probe!.top1,
        },
      });
      expect([...(await dtypes(models[i]!.file))]).to.include.members(['uint8', 'int8', 'int32']);
    }
    const again = await convert({
      ...{ precision: 'int8', output: join(run.folder, 'again'), classifier: true },
      conversion: { testSource: run.test, images: 10, force: true },
    });
    expect(again.models).to.have.length(2);
    const bytes = await Promise.all(
      [models, again.models].map(([first]) => readFile(join(run.folder, first!.file))),
    );
    expect(bytes[0]).to.deep.equal(bytes[1]);
  });

  it('float16: half the bytes', async () => {
    const { models, conversions } = await convert({
      precision: 'float16',
      conversion: { testSource: run.test, images: 10 },
    });
    for (const [i, { before, after, cosine, quantization }] of conversions.entries()) {
      expect(quantization).to.equal(null);
      expect(cosine).to.be.above(0.99999);
      expect(after.bytes / before.bytes).to.be.below(0.56);
      expect(after.knn!.top1).to.be.closeTo(before.knn!.top1, 0.001);
      expect(models[i]!.file).to.match(/\.fp16\.onnx$/);
      expect(models[i]!.maxRelativeError).to.be.within(1e-6, 2e-2);
    }
  });

  it('a run whose images have no labels to measure: converted, a notice says so', async () => {
    const { models, conversions, notices } = await convert({
      precision: 'int8',
      widths: [0.5],
      conversion: { images: 4, calibration: 'entropy', activations: 'int8', force: true },
    });
    expect(notices.join('\n')).to.match(/^the accuracy is not measured: .* a folder has no test images/);
    expect(conversions[0]).to.deep.include({ test: null, precision: 'int8' });
    expect(conversions[0]!.after).to.deep.include({ knn: null, probe: null });
    expect(await dtypes(models[0]!.file)).not.to.include('uint8');
  });

  it('int8 that takes longer than float32: the width stays float32, with the reason', async () => {
    expect(slowerInt8(0.31, 0.3)).to.equal(null);
    expect(slowerInt8(0.31, 0.531)).to.equal('int8 takes 0.531 ms, float32 0.310 ms');
    const { models, conversions, notices } = await convert({
      ...{ precision: 'int8', widths: [0.5], output: join(run.folder, 'either') },
      conversion: { testSource: run.test, images: 4 },
    });
    const [{ reason, precision, before, after }] = conversions as [Conversion];
    // Which of the two holds is the machine's.
    const isSlower = after.latency >= before.latency;
    expect(precision).to.equal(isSlower ? 'float32' : 'int8');
    expect(reason).to.equal(slowerInt8(before.latency, after.latency));
    expect(models[0]!.file).to.equal(`either/resnet20.w0.50${isSlower ? '' : '.int8'}.onnx`);
    expect(notices).to.deep.equal(isSlower ? [`w0.50 stays float32: ${reason}`] : []);
    const [described] = (await readExportManifest(join(run.folder, 'either'))).models;
    expect(described).to.include({ precision });
    expect('conversion' in described!).to.equal(!isSlower);
  });

  it('refused: options of another precision, and out of range', async () => {
    for (const [options, message] of [
      [
        { conversion: { images: 3 } },
        /images is for the conversion to int8 or float16, not for float32 models/,
      ],
      [
        { precision: 'float16', conversion: { force: true } },
        /force is for the conversion to int8, not for float16/,
      ],
      [{ precision: 'int8', conversion: { images: 0 } }, /images is 0; accepted: an integer >= 1/],
      [{ precision: 'int8', conversion: { maxDrop: -1 } }, /maxDrop is -1; accepted: points >= 0/],
      [
        { precision: 'int8', conversion: { calibration: 'max' } },
        /calibration is 'max'; accepted: minmax, percent/,
      ],
    ] as const) {
      const error = await rejection(exportRun(run.folder, options as ExportOptions));
      expect(error.message).to.match(message);
      expect(error.name).to.equal('UsageError');
    }
  });
});
