import { HostGraph } from '../../src/engines/hostGraph.js';
import { tensorOf } from '../support/tensors.js';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { readClassifiers } from '../../src/evaluation/classifiers.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { exportModel } from '../../src/export/exportModel.js';
import { plainForm } from '../../src/export/form.js';
import { exportRun } from '../../src/export/exportRun.js';
import { verifyExport } from '../../src/export/verifyExport.js';
import { sha256File } from '../../src/onnx/hash.js';
import { decodeModel, elementCount, type OnnxModel } from '../../src/onnx/model.js';
import { Random } from '../../src/random.js';
import { writeCheckpoint } from '../../src/training/checkpoint.js';
import { version } from '../../src/version.js';
import { makeTinyRun, trainedWeights, type TinyRun } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

const modelFile = async (path: string): Promise<OnnxModel> => decodeModel(await readFile(path));

describe('exportRun: ResNet-20, widths 1 and 0.5', function () {
  this.timeout(60_000);
  let run: TinyRun;
  beforeEach(async () => (run = await makeTinyRun()));
  afterEach(() => removeFolder(dirname(run.folder)));

  it('each width: a model of that width alone, verified, described by results/export.json', async () => {
    const result = await exportRun(run.folder);
    const path = join(run.folder, 'results', 'export.json');
    expect(JSON.parse(await readFile(path, 'utf8'))).to.deep.equal(result);
    expect(result.models.map(({ label, file }) => [label, file])).to.deep.equal([
      ['w1.00', 'export/resnet20.w1.00.onnx'],
      ['w0.50', 'export/resnet20.w0.50.onnx'],
    ]);
    for (const model of result.models) {
      expect(model).to.include({ provider: 'cpu', threads: 1, size: null, head: false, classifier: null });
      expect(model.checkpoint).to.equal('checkpoints/step-00000003.safetensors');
      const { file, bytes, parameters, maxRelativeError, latency } = model;
      const exported = join(run.folder, file);
      expect((await stat(exported)).size).to.equal(bytes);
      expect(maxRelativeError).to.be.below(1e-5);
      expect(latency).to.be.above(0);
      const { inputs, initializers, nodes, opsets } = await modelFile(exported);
      expect(inputs.map(({ name }) => name)).to.deep.equal(['images']);
      expect(opsets).to.deep.equal({ '': 11 });
      const used = new Set(nodes.flatMap((node) => node.inputs));
      expect(initializers.every(({ name }) => used.has(name))).to.be.true;
      expect(new Set(nodes.map(({ opType }) => opType))).to.deep.equal(
        new Set(['Conv', 'Relu', 'Add', 'GlobalAveragePool', 'Flatten']),
      );
      // Folding replaces gamma and beta of each channel by one bias.
      const elements = initializers.reduce((sum, { type }) => sum + elementCount(type.shape), 0);
      const biases = initializers.filter(({ name }) => name.endsWith('.bias'));
      const channels = biases.reduce((sum, { type }) => sum + elementCount(type.shape), 0);
      expect(parameters).to.equal(elements + channels);
    }
    // He et al., 2016, section 4.2: 0.27M. Convolutions 267,696, projection shortcuts 2,560, batch norms 1,568.
    expect(result.models[0]!.parameters).to.equal(271_824);
    // 41M at 32 x 32, a quarter of it at 16 x 16.
    expect(result.models[0]!.multiplyAdds).to.be.within(0.98 * 10.2e6, 1.02 * 10.2e6);
  });

  it('metadata: what the model is and how to feed it', async () => {
    const { models } = await exportRun(run.folder, { widths: [0.5] });
    const { metadata, graphName } = await modelFile(join(run.folder, models[0]!.file));
    expect(graphName).to.equal('resnet20.w0.50');
    expect(metadata).to.deep.equal({
      slimclr: version,
      checkpoint: await sha256File(run.checkpoint),
      encoder: 'resnet20',
      method: 'moco-v2',
      width: '0.5',
      imageSize: '16',
      resize: '18',
      mean: '[0.4914,0.4822,0.4465]',
      std: '[0.247,0.2435,0.2616]',
      inGraph: '[]',
      verified: 'true',
    });
  });

  it('batches of 1 and 5 give the same features; two exports the same bytes', async () => {
    const { models } = await exportRun(run.folder, { widths: [0.5] });
    const path = join(run.folder, models[0]!.file);
    const first = await readFile(path);
    const graph = await HostGraph.open(first, { provider: 'cpu', threads: 1 });
    const random = new Random(4);
    const images = Float32Array.from({ length: 5 * 768 }, () => random.normal());
    const features = async (from: number, count: number) => {
      const data = images.subarray(from * 768, (from + count) * 768);
      const outputs = await graph.run({ images: tensorOf('float32', data, [count, 3, 16, 16]) });
      return Array.from(outputs['features']!.data as Float32Array);
    };
    const all = await features(0, 5);
    for (let i = 0; i < 5; i++) {
      const one = await features(i, 1);
      for (const [c, value] of one.entries()) expect(value).to.be.closeTo(all[i * 32 + c]!, 1e-4);
    }
    await graph.close();
    await exportRun(run.folder, { widths: [0.5], output: join(run.folder, 'again') });
    expect(await readFile(join(run.folder, 'again', 'resnet20.w0.50.onnx'))).to.deep.equal(first);
  });

  it("classifier: logits are the probe's, classes in the metadata", async () => {
    await evaluateProbe(run.folder, { testSource: run.test, epochs: 20 });
    const plain = await exportRun(run.folder);
    const { models } = await exportRun(run.folder, { classifier: true });
    const { outputs, metadata } = await modelFile(join(run.folder, models[1]!.file));
    expect(outputs.map(({ name, type }) => [name, type.shape])).to.deep.equal([
      ['features', ['batch', 32]],
      ['logits', ['batch', 2]],
    ]);
    expect(metadata['classes']).to.equal('["blue","red"]');
    expect(models[1]!.parameters - plain.models[1]!.parameters).to.equal(2 * 32 + 2);
    expect(models[1]!.multiplyAdds - plain.models[1]!.multiplyAdds).to.equal(2 * 32);
  });

  for (const [title, scale] of [
    ['varies by rounding', 1e-9],
    ['varies by a fiftieth of what it did', 0.02],
  ] as const) {
    it(`classifier of features of which one ${title}: agrees with the training side`, async () => {
      const { config, folder, weights } = run;
      // What the residual branches and the shortcut add to a channel of the last stage is nearly a constant.
      const tensors = new Map(weights);
      for (const [name, tensor] of weights) {
        if (!/layer3\.\d\.(bn2|downsample).*gamma/.test(name)) continue;
        const data = Float32Array.from(tensor.data as Float32Array, (x, c) => (c === 5 ? scale * x : x));
        tensors.set(name, { ...tensor, data });
      }
      for (const [name, tensor] of weights) {
        if (!/layer3\.0\.bn2.*beta/.test(name)) continue;
        const data = Float32Array.from(tensor.data as Float32Array, (x, c) => (c === 5 ? 3 : x));
        tensors.set(name, { ...tensor, data });
      }
      await writeCheckpoint(folder, { config, epoch: 2, step: 6, fingerprint: 'images', tensors }, 2);
      await evaluateProbe(folder, { testSource: run.test, epochs: 20 });
      const { models } = await exportRun(folder, { classifier: true });
      for (const { maxRelativeError } of models) expect(maxRelativeError).to.be.below(1e-5);
      const { classifiers } = await readClassifiers(folder);
      for (const { weight, channels } of classifiers.values()) {
        expect(weight.every((w, i) => i % channels !== 5 || (w === 0) === scale < 1e-6)).to.equal(true);
      }
    });
  }

  it('classifier of a protocol: that one, though there is none of the default', async () => {
    await evaluateProbe(run.folder, { testSource: run.test, protocol: 'ridge' });
    const { models } = await exportRun(run.folder, { classifier: 'ridge', widths: [0.5] });
    const { outputs } = await modelFile(join(run.folder, models[0]!.file));
    expect(outputs.map(({ name }) => name)).to.deep.equal(['features', 'logits']);
    expect((await rejection(exportRun(run.folder, { classifier: true }))).message).to.contain(
      'probe.safetensors',
    );
  });

  it('classifier without a probe, or of an older checkpoint: UsageError', async () => {
    const missing = await rejection(exportRun(run.folder, { classifier: true }));
    expect(missing).to.be.instanceOf(UsageError);
    await evaluateProbe(run.folder, { testSource: run.test, epochs: 1 });
    const { config, network, folder } = run;
    const tensors = trainedWeights(network, 7);
    await writeCheckpoint(folder, { config, epoch: 2, step: 6, fingerprint: 'images', tensors }, 2);
    const stale = await rejection(exportRun(run.folder, { classifier: true }));
    expect(stale).to.be.instanceOf(UsageError);
    expect(
      (await exportRun(folder, { classifier: true, checkpoint: run.checkpoint })).models,
    ).to.have.lengthOf(2);
  });

  it('a width that the run does not have: UsageError that names the accepted ones', async () => {
    const error = await rejection(exportRun(run.folder, { widths: [0.5, 0.25] }));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.contain('0.25').and.to.contain('accepted: 1, 0.5');
  });

  it('a model of other weights fails its verification', async () => {
    const { network, config, weights } = run;
    const subject = { network, config, weights, checkpoint: '', form: plainForm };
    const other = { ...subject, weights: new Map(weights) };
    const beta = weights.get('encoder.bn1.w0.50.beta')!;
    const shifted = Float32Array.from(beta.data as Float32Array, (value, i) =>
      i === 3 ? value + 0.01 : value,
    );
    other.weights.set('encoder.bn1.w0.50.beta', { ...beta, data: shifted });
    const random = new Random(4);
    const data = Float32Array.from({ length: 4 * 768 }, () => random.normal());
    const images = [
      { fed: tensorOf('float32', data, [4, 3, 16, 16]), images: tensorOf('float32', data, [4, 3, 16, 16]) },
    ];
    const { bytes } = await exportModel(other, 0.5);
    expect((await verifyExport({ bytes }, other, 0.5, images)).maxRelativeError).to.be.below(1e-5);
    const error = await rejection(verifyExport({ bytes }, subject, 0.5, images));
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.contain('differs from the training side');
  });
});
