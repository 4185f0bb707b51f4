import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { UsageError } from '../../src/errors.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import type { ExportResult } from '../../src/evaluation/results.js';
import { exportRun } from '../../src/export/exportRun.js';
import { decodeModel } from '../../src/onnx/model.js';
import { readRun } from '../../src/report/run.js';
import { summarizeWidths } from '../../src/report/summary.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('what results/export.json knows of a run: ResNet-20, widths 1 and 0.5', function () {
  this.timeout(60_000);
  let run: TinyRun;
  beforeEach(async () => (run = await makeTinyRun()));
  afterEach(() => removeFolder(dirname(run.folder)));

  const record = async () =>
    JSON.parse(await readFile(join(run.folder, 'results', 'export.json'), 'utf8')) as ExportResult;
  const files = async () => (await record()).models.map(({ file }) => file);

  it('one width, exported elsewhere after all: the others stay', async () => {
    await exportRun(run.folder);
    const output = join(run.folder, '..', 'elsewhere');
    const { models } = await exportRun(run.folder, { widths: [0.5], output });
    expect(models.map(({ label }) => label)).to.deep.equal(['w0.50']);
    expect(await files()).to.deep.equal(['export/resnet20.w1.00.onnx', '../elsewhere/resnet20.w0.50.onnx']);
    expect((await record()).models[1]).to.deep.equal(models[0]);
  });

  it('another size, the head, classifiers: models of other names beside the plain one', async () => {
    await evaluateProbe(run.folder, { testSource: run.test, epochs: 1 });
    await evaluateProbe(run.folder, { testSource: run.test, protocol: 'ridge' });
    const export1 = (options: Parameters<typeof exportRun>[1]) =>
      exportRun(run.folder, { widths: [0.5], ...options });
    const { models: plain } = await export1({});
    await export1({ size: 24 });
    await export1({ head: true });
    await export1({ classifier: true });
    await export1({ size: 24, head: true, classifier: 'ridge' });
    await export1({ batch: 1 });
    // The size that they take anyway.
    await export1({ size: 16 });
    expect(await files()).to.deep.equal([
      'export/resnet20.w0.50.b1.onnx',
      'export/resnet20.w0.50.classifier.onnx',
      'export/resnet20.w0.50.head.onnx',
      'export/resnet20.w0.50.onnx',
      'export/resnet20.w0.50.s24.head.classifier-ridge.onnx',
      'export/resnet20.w0.50.s24.onnx',
    ]);
    const outputs = async (file: string) =>
      decodeModel(await readFile(join(run.folder, file))).outputs.map(({ name }) => name);
    expect(await outputs('export/resnet20.w0.50.onnx')).to.deep.equal(['features']);
    expect(await outputs('export/resnet20.w0.50.classifier.onnx')).to.deep.equal(['features', 'logits']);

    const { model } = summarizeWidths(await readRun(run.folder)).find(({ width }) => width === 0.5)!;
    expect(model!.file).to.equal(plain[0]!.file);
    expect(model!.multiplyAdds).to.equal(plain[0]!.multiplyAdds);
  });

  it('a record of an earlier version: its models stay, with what it said of them all', async () => {
    const model = { label: 'w1.00', width: 1, file: 'export/resnet20.w1.00.onnx', bytes: 1, parameters: 2, multiplyAdds: 3, latency: 4, maxRelativeError: 0 }; // prettier-ignore
    const old = { kind: 'export', checkpoint: 'checkpoints/a', provider: 'cpu', threads: 2, models: [model] };
    await mkdir(join(run.folder, 'results'));
    await writeFile(join(run.folder, 'results', 'export.json'), JSON.stringify(old));
    const upgraded = { ...model, checkpoint: 'checkpoints/a', provider: 'cpu', threads: 2, size: null, head: false, classifier: null }; // prettier-ignore
    expect((await readRun(run.folder)).export!.models).to.deep.equal([upgraded]);
    await exportRun(run.folder, { widths: [0.5] });
    const { models } = await record();
    expect(models.map(({ label }) => label)).to.deep.equal(['w1.00', 'w0.50']);
    expect(models[0]).to.deep.equal(upgraded);
  });

  it('a damaged record: written anew, and a notice', async () => {
    await mkdir(join(run.folder, 'results'));
    await writeFile(join(run.folder, 'results', 'export.json'), '{"kind": "export", "models": 3}');
    const notices: string[] = [];
    await exportRun(run.folder, { onNotice: (line) => notices.push(line) });
    expect(notices).to.have.lengthOf(1);
    expect(notices[0]).to.match(/export\.json: .*models.*written anew/);
    expect((await record()).models).to.have.lengthOf(2);
  });

  describe('images that are not there any more', () => {
    beforeEach(() => rename(run.train, `${run.train}-moved`));

    it('refused with the ways out', async () => {
      const error = await rejection(exportRun(run.folder));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(
        /cannot be opened \(.*train.*\); accepted instead: .*--source.*--no-verify/,
      );
    });

    it('other images: verified on those', async () => {
      const { models } = await exportRun(run.folder, { source: run.test });
      for (const { maxRelativeError } of models) expect(maxRelativeError).to.be.below(1e-5);
    });

    it('not verified: the record and the metadata say so, the weights are the same', async () => {
      const weights = async (file: string) => {
        const model = decodeModel(await readFile(join(run.folder, file)));
        return { metadata: model.metadata, initializers: model.initializers };
      };
      const { models: checked } = await exportRun(run.folder, { source: run.test, widths: [0.5] });
      const before = await weights(checked[0]!.file);
      const { models } = await exportRun(run.folder, { verify: false, widths: [0.5] });
      expect(models[0]!.maxRelativeError).to.equal(null);
      expect(models[0]!.latency).to.be.above(0);
      const after = await weights(models[0]!.file);
      expect(after.initializers).to.deep.equal(before.initializers);
      expect(before.metadata['verified']).to.equal('true');
      expect(after.metadata).to.deep.equal({ ...before.metadata, verified: 'false' });
    });

    it('not verified, on images: UsageError', async () => {
      const error = await rejection(exportRun(run.folder, { verify: false, source: run.test }));
      expect(error).to.be.instanceOf(UsageError);
    });
  });
});
