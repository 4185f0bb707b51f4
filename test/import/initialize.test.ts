import { expect } from 'chai';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ConfigInput } from '../../src/config/schema.js';
import { UsageError } from '../../src/errors.js';
import { importRun } from '../../src/import/importRun.js';
import { initialize } from '../../src/import/initialize.js';
import { readModel } from '../../src/import/readModel.js';
import { encoderTensorName } from '../../src/import/resnetNames.js';
import { networkOf } from '../../src/methods/index.js';
import { writeSafetensors } from '../../src/onnx/safetensors.js';
import type { Weights } from '../../src/programs/bindWeights.js';
import { makeTinyRun, tinyConfig, trainedWeights, writeImages, type TinyRun } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { fixture } from './comparison.js';
import { removeFolder } from '../support/removeFolder.js';

const values = (weights: Weights, name: string) => [...(weights.get(name)!.data as Float32Array)];

describe('pretrain --init: what a run begins with', () => {
  let run: TinyRun;
  before(async () => (run = await makeTinyRun()));
  after(() => removeFolder(join(run.folder, '..')));

  /** The weights of a file for a config of ResNet-20. */
  const begin = (file: string, input: ConfigInput = {}) =>
    initialize(tinyConfig({ ...input, init: { file } }));

  it('the run of the same config, by its folder: every weight, and the SHA-256 of its checkpoint', async () => {
    const { weights, config, line } = await begin(run.folder);
    expect([...weights.keys()].sort()).to.deep.equal([...run.weights.keys()].sort());
    for (const name of weights.keys()) expect(values(weights, name)).to.deep.equal(values(run.weights, name));
    expect(config.init).to.deep.equal({
      file: run.checkpoint,
      sha256: (await readModel(run.checkpoint)).sha256,
    });
    expect(line).to.equal(`${run.checkpoint}: ${weights.size} tensors taken (encoder, head)`);
  });

  it('other widths, image size and method: batch norm of a new width from the next wider, the new heads drawn', async () => {
    const { weights, line } = await begin(run.folder, {
      widths: [1, 0.75, 0.25],
      method: { kind: 'moco-v3' },
      data: { imageSize: 32 },
    });
    for (const kind of ['gamma', 'beta', 'running_mean', 'running_var']) {
      const norm = (label: string) => values(run.weights, `encoder.layer2.0.bn1.${label}.${kind}`);
      const begun = (label: string) => values(weights, `encoder.layer2.0.bn1.${label}.${kind}`);
      expect(begun('w1.00')).to.deep.equal(norm('w1.00'));
      expect(begun('w0.75')).to.deep.equal(norm('w1.00').slice(0, 24));
      expect(begun('w0.25')).to.deep.equal(norm('w0.50').slice(0, 8));
    }
    expect(line).to.include(
      '(encoder); batch norm of w0.75, w0.25 from that of wider ones; drawn: projector, predictor',
    );
    expect(line).to.match(/; left out: w0\.50, head$/);
  });

  it('other channels of the images: the first convolution is drawn, and said to be', async () => {
    const { weights, line } = await begin(run.folder, {
      data: { channels: 4 },
      augmentation: { jitter: { saturation: 0, hue: 0 }, grayscale: 0 },
    });
    expect(weights.has('encoder.conv1.weight')).to.equal(false);
    expect(weights.has('encoder.layer1.0.conv1.weight')).to.equal(true);
    expect(line).to.contain(
      'tensors taken (encoder, head); drawn: encoder.conv1.weight; left out: encoder.conv1.weight',
    );
  });

  it('a foreign network on two channels: its config has as many', async () => {
    const config = tinyConfig({ widths: [1], data: { channels: 2 } });
    const network = networkOf(config);
    const names = {
      prefix: '',
      root: '',
      encoder: { name: 'resnet20', stem: 'cifar' },
      inputs: 2,
      channels: 64,
      shortcut: 'downsample',
      stages: null,
      widths: null,
    } as const;
    const tensors = [...trainedWeights(network)].filter(([name]) => name.startsWith('encoder.'));
    const file = join(run.folder, '..', 'foreign.safetensors');
    await writeSafetensors(
      file,
      new Map(tensors.map(([name, tensor]) => [encoderTensorName(name, names), tensor])),
      {},
    );
    const model = await readModel(file);
    expect(model.config.data.channels).to.equal(2);
    expect(model.config.data.mean).to.deep.equal([0.5, 0.5]);
    expect(model.tensors.get('encoder.conv1.weight')!.shape).to.deep.equal([16, 2, 3, 3]);
  });

  it('a head of another size is drawn whole, one of the same shapes under another method is taken', async () => {
    const other = await begin(run.folder, { method: { kind: 'moco-v2', queueSize: 16, dimension: 64 } });
    expect(other.line).to.include('; drawn: head');
    expect([...other.weights.keys()].filter((name) => name.startsWith('head.'))).to.deep.equal([]);
    const seed = await begin(run.folder, {
      method: { kind: 'seed', queueSize: 16, teacher: 'teacher.onnx' },
    });
    expect(seed.line).to.include('tensors taken (encoder, head)');
  });

  it('weights that widths do not share: the first channels are those of the narrowest width', async () => {
    const weightsOf = { techniques: { weights: 'non-overlapping' } } as const;
    const folder = await mkdtemp(join(tmpdir(), 'slimclr-init-'));
    await writeImages(join(folder, 'images'), 4, 1);
    const output = join(folder, 'run');
    const set = ['techniques.weights=non-overlapping', 'data.imageSize=16'];
    await importRun(fixture('plain.pth'), { output, set });
    const { weights } = await begin(output, { ...weightsOf, widths: [1, 0.5, 0.25] });
    const beta = (label: string) => values(weights, `encoder.bn1.${label}.beta`);
    expect(beta('w0.25')).to.deep.equal(beta('w1.00').slice(0, 4));
    expect(beta('w0.50')).to.deep.equal(beta('w1.00').slice(4, 12));
    const error = await rejection(begin(output));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/has techniques\.weights "non-overlapping"; accepted: the same$/);
    await rm(folder, { recursive: true });
  });

  it('another encoder, another file than the config knows: refused', async () => {
    const encoder = await rejection(begin(fixture('plain.pth'), { encoder: { name: 'resnet32' } }));
    expect(encoder).to.be.instanceOf(UsageError);
    expect(encoder.message).to.equal(
      `init.file ${fixture('plain.pth')} is a resnet20, and encoder.name is "resnet32"; accepted: "resnet20"`,
    );
    const file = fixture('plain.pth');
    const other = await rejection(initialize(tinyConfig({ init: { file, sha256: '0'.repeat(64) } })));
    expect(other.message).to.match(
      /is another file than that of init\.sha256 \([0-9a-f]{12}\.\.\., not 000000000000\.\.\.\); /,
    );
  });
});
