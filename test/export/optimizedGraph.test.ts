import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { loadConfig } from '../../src/config/load.js';
import type { EncoderName } from '../../src/config/schema.js';
import { exportFamily, exportModel } from '../../src/export/exportModel.js';
import { plainForm } from '../../src/export/form.js';
import type { TensorData } from '../../src/onnx/safetensors.js';
import { decodeModel, elementCount } from '../../src/onnx/model.js';
import { networkOf } from '../../src/methods/index.js';
import { ortLibrary } from '../../src/engines/ortLibrary.js';
import { removeFolder } from '../support/removeFolder.js';

/** Operators, with what is fused into each, that ONNX Runtime makes of an exported encoder, and how many of each. */
async function optimized(
  name: EncoderName,
  width: number,
  folder: string,
  shared = false,
): Promise<Record<string, number>> {
  const config = loadConfig({ preset: 'imagenet-resnet50', set: [`encoder.name=${name}`] });
  const network = networkOf(config);
  const weights = new Map<string, TensorData>();
  for (const { name, shape } of [...network.declarations.parameters, ...network.declarations.statistics]) {
    weights.set(name, { dtype: 'float32', shape, data: new Float32Array(elementCount(shape)).fill(0.1) });
  }
  const subject = { network, config, weights, checkpoint: '', form: { ...plainForm, shared } };
  const model = join(folder, 'model.onnx');
  if (shared) {
    const { bytes, externalData } = (await exportFamily(subject, [width], () => undefined)).get(width)!;
    await writeFile(model, bytes);
    await writeFile(join(folder, externalData!.file), externalData!.bytes);
  } else {
    await writeFile(model, (await exportModel(subject, width)).bytes);
  }
  const path = join(folder, 'optimized.onnx');
  const { api, environment } = ortLibrary();
  const options = api.createSessionOptions();
  api.setOptimizedModelFilePath(options, path);
  // It warns that the file is for this machine only.
  api.setSessionLogSeverityLevel(options, 3);
  api.releaseSession(await api.createSession(environment, model, options));
  api.releaseSessionOptions(options);
  const counts: Record<string, number> = {};
  for (const { domain, opType, inputs, attributes } of decodeModel(await readFile(path)).nodes) {
    const fused = [
      inputs[2] && 'bias',
      inputs[3] && 'Sum',
      attributes['activation'] === 'Relu' && 'Relu',
    ].filter(Boolean);
    const kind = [`${domain}:${opType}`, ...fused].join(' ');
    counts[kind] = (counts[kind] ?? 0) + 1;
  }
  return counts;
}

describe('exportModel: what ONNX Runtime makes of it', function () {
  let folder: string;
  before(async function () {
    // The blocked kernels for AVX2 and AVX-512.
    if (process.arch !== 'x64') this.skip();
    folder = await mkdtemp(join(tmpdir(), 'slimclr-'));
  });
  after(() => folder && removeFolder(folder));

  const kernels = {
    'com.microsoft.nchwc:MaxPool': 1,
    'com.microsoft.nchwc:GlobalAveragePool': 1,
    'com.microsoft.nchwc:ReorderOutput': 1,
    ':Flatten': 1,
  };

  for (const width of [1, 0.25]) {
    it(`ResNet-50 at width ${width}: blocked kernels only; bias, residual and ReLU in the convolutions`, async () => {
      expect(await optimized('resnet50', width, folder)).to.deep.equal({
        ...kernels,
        'com.microsoft.nchwc:Conv bias Relu': 33,
        'com.microsoft.nchwc:Conv bias': 4,
        'com.microsoft.nchwc:Conv bias Sum Relu': 16,
      });
    });
  }

  it('ResNet-50 at width 0.25 with shared weights: cutting and scaling are done when it loads', async () => {
    expect(await optimized('resnet50', 0.25, folder, true)).to.deep.equal(
      await optimized('resnet50', 0.25, folder),
    );
  });

  it('ResNet-18 at width 0.25: the same', async () => {
    expect(await optimized('resnet18', 0.25, folder)).to.deep.equal({
      ...kernels,
      'com.microsoft.nchwc:Conv bias Relu': 9,
      'com.microsoft.nchwc:Conv bias': 3,
      'com.microsoft.nchwc:Conv bias Sum Relu': 8,
    });
  });
});
