import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { HostGraph } from '../../src/engines/hostGraph.js';
import { UsageError } from '../../src/errors.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { exportRun, type ExportOptions } from '../../src/export/exportRun.js';
import { readExportManifest } from '../../src/export/manifest.js';
import { externalFiles } from '../../src/onnx/externalFiles.js';
import { decodeModel, type OnnxModel } from '../../src/onnx/model.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('forms of exported models: ResNet-20, widths 1 and 0.5, 16 x 16', function () {
  this.timeout(60_000);
  let run: TinyRun;
  before(async () => {
    run = await makeTinyRun();
    await evaluateProbe(run.folder, { testSource: run.test, epochs: 1 });
  });
  after(() => removeFolder(dirname(run.folder)));

  async function exported(options: ExportOptions) {
    const { models } = await exportRun(run.folder, { widths: [0.5], ...options });
    const { file, maxRelativeError } = models[0]!;
    expect(maxRelativeError).to.be.below(1e-5);
    const bytes = await readFile(join(run.folder, file));
    return { file, bytes, model: decodeModel(bytes) };
  }
  const typesOf = (values: OnnxModel['inputs']) =>
    Object.fromEntries(values.map(({ name, type }) => [name, [type.dtype, ...type.shape].join()]));
  async function outputsOf(bytes: Uint8Array | string, images: TensorData) {
    const graph = await HostGraph.open(bytes, { provider: 'cpu', threads: 1 });
    const outputs = await graph.run({ images });
    await graph.close();
    return outputs;
  }

  const forms: readonly {
    options: ExportOptions;
    file: string;
    inputs: string;
    outputs: Record<string, string>;
    opset: number;
  }[] = [
    {
      options: { input: 'uint8-nhwc' },
      file: 'resnet20.w0.50.u8.onnx',
      inputs: 'uint8,batch,16,16,3',
      outputs: { features: 'float32,batch,32' },
      opset: 11,
    },
    {
      options: { resize: true },
      file: 'resnet20.w0.50.resize.onnx',
      inputs: 'float32,batch,3,height,width',
      outputs: { features: 'float32,batch,32' },
      opset: 18,
    },
    {
      options: { batch: 1, outputs: ['layer3', 'layer2'] },
      file: 'resnet20.w0.50.b1.layer2-layer3.onnx',
      inputs: 'float32,1,3,16,16',
      outputs: { features: 'float32,1,32', layer2: 'float32,1,16,8,8', layer3: 'float32,1,32,4,4' },
      opset: 11,
    },
    {
      options: {
        size: 24,
        head: true,
        classifier: true,
        input: 'uint8-nhwc',
        resize: true,
        batch: 5,
        outputs: ['layer1'],
        opset: 19,
      },
      file: 'resnet20.w0.50.s24.head.classifier.u8.resize.b5.layer1.onnx',
      inputs: 'uint8,5,height,width,3',
      outputs: {
        features: 'float32,5,32',
        layer1: 'float32,5,8,24,24',
        embedding: 'float32,5,128',
        logits: 'float32,5,2',
      },
      opset: 19,
    },
  ];
  for (const { options, file, inputs, outputs, opset } of forms) {
    it(`${file}: verified, of these types, opset ${opset}`, async () => {
      const found = await exported(options);
      expect(found.file).to.equal(`export/${file}`);
      expect(typesOf(found.model.inputs)).to.deep.equal({ images: inputs });
      expect(typesOf(found.model.outputs)).to.deep.equal(outputs);
      expect(found.model.opsets).to.deep.equal({ '': opset });
    });
  }

  it('whatever the form: kernel_shape, outputs that no node reads, no types of inner values', async () => {
    const { model } = await exported({ classifier: true, outputs: ['layer1'] });
    const convolutions = model.nodes.filter(({ opType }) => opType === 'Conv');
    expect(convolutions).to.have.lengthOf(21);
    for (const { name, attributes, inputs } of convolutions) {
      const [, , ...kernel] = model.initializers.find((weight) => weight.name === inputs[1])!.type.shape;
      expect(attributes['kernel_shape'], name).to.deep.equal(kernel);
    }
    const read = new Set(model.nodes.flatMap(({ inputs }) => inputs));
    expect(model.outputs.filter(({ name }) => read.has(name))).to.deep.equal([]);
    expect(model.nodes.filter(({ opType }) => opType === 'Identity')).to.have.lengthOf(2);
    expect(model.values).to.deep.equal([]);
    expect(model.irVersion).to.equal(6);
  });

  it('multiply-adds are those of one image, whatever the batch', async () => {
    const { models: plain } = await exportRun(run.folder, { verify: false });
    const { models } = await exportRun(run.folder, { verify: false, batch: 3, input: 'uint8-nhwc' });
    expect(models.map(({ multiplyAdds }) => multiplyAdds)).to.deep.equal(
      plain.map(({ multiplyAdds }) => multiplyAdds),
    );
  });

  it('bytes: the features of the plain model for the normalised image', async () => {
    const { mean, std } = run.config.data;
    const plain = await exported({});
    const ofBytes = await exported({ input: 'uint8-nhwc' });
    const data = Uint8Array.from({ length: 2 * 768 }, (_, i) => (i * 97) % 256);
    const images = new Float32Array(data.length);
    data.forEach((byte, i) => {
      const [c, pixel, n] = [i % 3, Math.floor((i % 768) / 3), Math.floor(i / 768)];
      images[n * 768 + c * 256 + pixel] = (byte / 255 - mean[c]!) / std[c]!;
    });
    const expected = await outputsOf(plain.bytes, { dtype: 'float32', shape: [2, 3, 16, 16], data: images });
    const { features } = await outputsOf(ofBytes.bytes, { dtype: 'uint8', shape: [2, 16, 16, 3], data });
    features!.data.forEach((value, i) =>
      expect(value).to.be.closeTo(expected['features']!.data[i] as number, 1e-5),
    );
  });

  it('shared: graphs that point into one file, which is the same for whatever width is exported', async () => {
    const names = async () =>
      (await readdir(join(run.folder, 'shared'))).filter((name) => /data$/.test(name));
    const options = { shared: true, output: join(run.folder, 'shared') };
    const { models } = await exportRun(run.folder, options);
    expect(models.map(({ file }) => file)).to.deep.equal([
      'shared/resnet20.w1.00.shared.onnx',
      'shared/resnet20.w0.50.shared.onnx',
    ]);
    const [file, ...others] = await names();
    expect(file).to.match(/^resnet20\.shared-[0-9a-f]{12}\.data$/);
    expect(others).to.deep.equal([]);
    await exportRun(run.folder, { ...options, widths: [0.5], input: 'uint8-nhwc', batch: 1 });
    expect(await names()).to.deep.equal([file]);

    const { size: shared } = await stat(join(run.folder, 'shared', file!));
    const plain = await exportRun(run.folder, {});
    expect(shared + models.reduce((sum, { bytes }) => sum + bytes, 0)).to.be.below(
      0.85 * plain.models.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    const data = Float32Array.from({ length: 768 }, (_, i) => Math.sin(i));
    const images = { dtype: 'float32', shape: [1, 3, 16, 16], data } as const;
    for (const [i, model] of models.entries()) {
      expect(externalFiles(await readFile(join(run.folder, model.file)))).to.deep.equal([file]);
      const features = async (name: string) =>
        (await outputsOf(join(run.folder, name), images))['features']!.data as Float32Array;
      const [found, expected] = [await features(model.file), await features(plain.models[i]!.file)];
      const largest = Math.max(...expected.map(Math.abs));
      found.forEach((value, c) => expect(value).to.be.closeTo(expected[c]!, 1e-6 * largest));
    }
    const manifest = await readExportManifest(join(run.folder, 'shared'));
    for (const { externalData } of manifest.models) expect(externalData).to.include({ file, bytes: shared });
  });

  const refused: [ExportOptions, string][] = [
    [{ input: 'nhwc' as never }, 'nhwc is no input; accepted: float32-nchw, uint8-nhwc'],
    [{ batch: 0 }, 'a batch of 0; accepted: an integer >= 1'],
    [{ batch: 1.5 }, 'a batch of 1.5; accepted: an integer >= 1'],
    [{ outputs: ['layer2', 'layer4'] }, 'no stage "layer4" whose map could be an output; accepted: layer1, layer2, layer3'],
    [{ outputs: [''] }, 'no stage "" whose map could be an output; accepted: layer1, layer2, layer3'],
    [{ opset: 10 }, 'opset 10; accepted: 11 to 21'],
    [{ opset: 22 }, 'opset 22; accepted: 11 to 21'],
    [{ opset: 17, resize: true }, 'opset 17 with resize; accepted: 18 to 21'],
  ]; // prettier-ignore
  for (const [options, message] of refused) {
    it(`refused: ${message}`, async () => {
      const error = await rejection(exportRun(run.folder, options));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.contain(message);
    });
  }
});
