import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importRun } from '../../src/import/importRun.js';
import { torchPython } from '../support/pythons.js';
import { expectSameFeatures } from './comparison.js';

// What a Python writes and computes here and now: its version of PyTorch, networks of the usual size.
describe('import of models that a PyTorch of this machine makes', function () {
  this.timeout(180_000);

  for (const { model, beside, files, title, line } of [
    {
      model: 'resnet18',
      title: 'ResNet-18 with the CIFAR stem in a MoCo v2 checkpoint',
      files: ['resnet18.pth'],
      line: 'with the head of moco-v2',
    },
    {
      model: 'resnet50',
      title: 'ResNet-50 at four widths with the official names',
      files: ['resnet50.pth'],
      line: 'without a head',
    },
    {
      model: 'torchvision',
      beside: 'torchvision',
      title: "torchvision's ResNet-50, float16",
      files: ['torchvision.pth'],
      line: 'with a classifier of 1000 classes',
    },
    {
      model: 'timm',
      beside: 'timm',
      title: "timm's ResNet-18 and ResNet-50, safetensors",
      files: ['timm-resnet18.safetensors', 'timm-resnet50.safetensors'],
      line: 'with a classifier of 1000 classes',
    },
  ] as const) {
    const { python, missing } = torchPython(beside);
    (missing === '' ? it : it.skip)(`${title}: the features are those of PyTorch${missing}`, async () => {
      const folder = await mkdtemp(join(tmpdir(), 'slimclr-pytorch-'));
      try {
        execFileSync(python, ['tools/import/make_models.py', folder, model], { stdio: 'pipe' });
        for (const file of files) {
          const output = join(folder, `run-${file}`);
          const { lines } = await importRun(join(folder, file), { output });
          expect(lines).to.include(line);
          const name = file.replace(/\.\w+$/, '');
          expect(existsSync(join(folder, `${name}.features.json`))).to.equal(true);
          await expectSameFeatures(output, join(folder, `${name}.features.json`));
        }
      } finally {
        await rm(folder, { recursive: true });
      }
    });
  }
});
