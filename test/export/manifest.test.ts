import { readdir, readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { exportRun } from '../../src/export/exportRun.js';
import { manifestFile, readExportManifest } from '../../src/export/manifest.js';
import { sha256File } from '../../src/onnx/hash.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('manifest.json of an export folder: ResNet-20, widths 1 and 0.5', function () {
  this.timeout(60_000);
  let run: TinyRun;
  let folder: string;
  beforeEach(async () => {
    run = await makeTinyRun();
    folder = join(run.folder, 'export');
  });
  afterEach(() => removeFolder(dirname(run.folder)));

  it('a model: what it is, takes, gives and costs', async () => {
    const result = await exportRun(run.folder);
    const manifest = await readExportManifest(folder);
    const checkpoint = await sha256File(run.checkpoint);
    expect(manifest.run).to.deep.equal({ name: 'run', encoder: 'resnet20', method: 'moco-v2', checkpoint });
    expect(manifest.models.map(({ file }) => file)).to.deep.equal([
      'resnet20.w1.00.onnx',
      'resnet20.w0.50.onnx',
    ]);
    const { parameters, multiplyAdds, bytes, latency, maxRelativeError } = result.models[1]!;
    const { latency: measured, irVersion, ...model } = manifest.models[1]!;
    expect(measured).to.include({ milliseconds: latency, batch: 1, provider: 'cpu', threads: 1 });
    expect(measured!.machine).to.match(/\S/);
    expect(irVersion).to.be.within(6, 8);
    const { opset, ...others } = model;
    expect(opset).to.be.within(11, 17);
    expect(others).to.deep.equal({
      file: 'resnet20.w0.50.onnx',
      sha256: await sha256File(join(folder, 'resnet20.w0.50.onnx')),
      ...{ bytes, parameters, multiplyAdds, maxRelativeError, checkpoint },
      ...{ externalData: null, encoder: 'resnet20', method: 'moco-v2', width: 0.5, label: 'w0.50' },
      ...{ precision: 'float32', input: 'float32-nchw', resize: false, batch: null, maps: [] },
      ...{ size: null, head: false, classifier: null, classes: null },
      inputs: [{ name: 'images', dtype: 'float32', shape: ['batch', 3, 16, 16] }],
      outputs: [{ name: 'features', dtype: 'float32', shape: ['batch', 32] }],
      preprocessing: {
        inGraph: [],
        untouched: [16, 16],
        ...{ shortSide: 18, longSide: 'floor', filter: 'bilinear', antialias: true, rounding: 'none' },
        crop: { size: 16, offset: 'half-even' },
        ...{ layout: 'nchw', order: 'rgb', scale: 1 / 255 },
        mean: [0.4914, 0.4822, 0.4465],
        std: [0.247, 0.2435, 0.2616],
      },
      accuracy: { knn: null, probe: null },
    });
  });

  it('accuracy: that of the same width, checkpoint and image size', async () => {
    const knn = await evaluateKnn(run.folder, { testSource: run.test });
    const probe = await evaluateProbe(run.folder, { testSource: run.test, protocol: 'ridge' });
    await exportRun(run.folder, { classifier: 'ridge' });
    await exportRun(run.folder, { widths: [0.5], size: 24 });
    const { models } = await readExportManifest(folder);
    for (const [i, { accuracy, classes, size }] of models.entries()) {
      if (size !== null) {
        expect(accuracy).to.deep.equal({ knn: null, probe: null });
        continue;
      }
      const images = { source: basename(run.test), images: 12 };
      expect(accuracy).to.deep.equal({
        knn: { ...knn.widths[i]!.trained, ...images, k: knn.k, temperature: knn.temperature },
        probe: { ...probe.widths[i]!.trained, ...images, protocol: 'ridge' },
      });
      expect(classes).to.deep.equal(['blue', 'red']);
    }
    // A checkpoint that nothing is known of.
    const result = join(run.folder, 'results', 'knn.json');
    await writeFile(result, JSON.stringify({ ...knn, checkpoint: 'checkpoints/step-00000001.safetensors' }));
    await exportRun(run.folder, { classifier: 'ridge' });
    for (const { accuracy } of (await readExportManifest(folder)).models) expect(accuracy.knn).to.equal(null);
  });

  it('several exports: another file is added, the same one replaced', async () => {
    await exportRun(run.folder);
    const before = await readExportManifest(folder);
    await exportRun(run.folder, { widths: [0.5], head: true });
    await exportRun(run.folder, { widths: [0.5], verify: false });
    const { models } = await readExportManifest(folder);
    expect(models.map(({ file }) => file)).to.deep.equal([
      'resnet20.w1.00.onnx',
      'resnet20.w0.50.head.onnx',
      'resnet20.w0.50.onnx',
    ]);
    expect(models[0]).to.deep.equal(before.models[0]);
    expect(models[1]!.outputs.map(({ name }) => name)).to.deep.equal(['features', 'embedding']);
    expect(models[2]!.maxRelativeError).to.equal(null);
  });

  for (const [title, text, message] of [
    [
      'of a later version',
      (text: string) => text.replace('"version": 1', '"version": 2'),
      'version is 2; accepted: 1',
    ],
    [
      'of something else',
      () => '{"format": "slimclr-programs"}',
      'kind is missing; accepted: "slimclr-export"',
    ],
    ['cut off', (text: string) => text.slice(0, 99), 'not JSON, or a part of it'],
    [
      'that names a file elsewhere',
      (text: string) => text.replace('"file": "', '"file": "../'),
      'models[0].file is "../resnet20.w1.00.onnx"; accepted: the plain name',
    ],
  ] as const) {
    // prettier-ignore
    it(`a manifest ${title}: one line; an export puts it aside`, async () => {
      await exportRun(run.folder);
      const path = join(folder, manifestFile);
      const damaged = text(await readFile(path, 'utf8'));
      await writeFile(path, damaged);
      const error = await rejection(readExportManifest(folder));
      expect(error).to.be.instanceOf(SlimclrError);
      expect(error.message).to.contain(`${path}: `).and.to.contain(message);
      expect(error.message).not.to.contain('\n');
      const notices: string[] = [];
      await exportRun(run.folder, { widths: [0.5], onNotice: (line) => notices.push(line) });
      expect(notices).to.have.lengthOf(1);
      expect(notices[0]).to.contain(message).and.to.contain('manifest.before-1.json');
      expect(await readFile(join(folder, 'manifest.before-1.json'), 'utf8')).to.equal(damaged);
      expect((await readExportManifest(path)).models).to.have.lengthOf(1);
    });
  }

  it('no manifest: UsageError', async () => {
    const error = await rejection(readExportManifest(run.folder));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.contain('no exported models');
    expect(await readdir(run.folder)).not.to.contain('export');
  });
});
