import { expect } from 'chai';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importRun } from '../../src/import/importRun.js';
import { openTrainedRun } from '../../src/evaluation/trainedRun.js';
import { expectSameFeatures, fixture } from './comparison.js';
import { removeFolder } from '../support/removeFolder.js';

describe('import of checkpoints that PyTorch wrote', () => {
  let folder: string;
  before(async () => (folder = await mkdtemp(join(tmpdir(), 'slimclr-import-'))));
  after(() => removeFolder(folder));

  it('ResNet-20 as strided views of four types on shared storages: the features are those of PyTorch', async () => {
    const output = join(folder, 'plain');
    const { config, lines } = await importRun(fixture('plain.pth'), { output });
    expect(config.encoder).to.deep.include({ name: 'resnet20', stem: 'cifar' });
    expect(config.method).to.deep.include({ kind: 'supervised', classes: 10 });
    expect(lines).to.deep.equal([
      "resnet20, cifar stem, widths 1, images of 32 pixels, by torchvision's names",
      'with a classifier of 10 classes',
    ]);
    await expectSameFeatures(output, fixture('plain.features.json'));
    const { weights } = await openTrainedRun(output);
    expect(weights.get('head.fc.weight')!.shape).to.deep.equal([10, 64]);
  });

  it("a checkpoint with the official SlimCLR's names: features at both widths, its head, the rest named", async () => {
    const output = join(folder, 'slimclr');
    const { config, lines } = await importRun(fixture('slimclr.pth'), { output });
    expect(config.widths).to.deep.equal([1, 0.5]);
    expect(config.method).to.deep.include({ kind: 'moco-v2', dimension: 16 });
    expect(lines).to.deep.equal([
      "resnet20, cifar stem, widths 1, 0.5, images of 32 pixels, by the official SlimCLR's names",
      'with the head of moco-v2',
      'left out: module.encoder_k.* (20 tensors), module.queue, module.queue_ptr',
    ]);
    await expectSameFeatures(output, fixture('slimclr.features.json'));
  });
});
