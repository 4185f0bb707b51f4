import { expect } from 'chai';
import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSource } from '../../src/data/source.js';
import { SlimclrError, UsageError } from '../../src/errors.js';
import { calibrate } from '../../src/evaluation/calibrate.js';
import { evaluateFinetune } from '../../src/evaluation/evaluateFinetune.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { openTrainedRun } from '../../src/evaluation/trainedRun.js';
import { exportRun } from '../../src/export/exportRun.js';
import { importRun } from '../../src/import/importRun.js';
import { prepareRun } from '../../src/training/prepareRun.js';
import { latestCheckpoint, readCheckpoint } from '../../src/training/checkpoint.js';
import { makeTinyRun, writeImages, type TinyRun } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { fixture } from './comparison.js';
import { removeFolder } from '../support/removeFolder.js';

describe('a run folder of imported weights', () => {
  let folder: string;
  let train: string;
  let test: string;
  let run: string;
  let lines: readonly string[];

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-goes-on-'));
    [train, test, run] = [join(folder, 'train'), join(folder, 'test'), join(folder, 'run')];
    await writeImages(train, 40, 1);
    await writeImages(test, 8, 2);
    const set = ['data.imageSize=16', 'runtime.threads=1', 'data.mean=[0.5,0.5,0.5]'];
    ({ lines } = await importRun(fixture('plain.pth'), {
      output: run,
      widths: [1, 0.5],
      source: train,
      set,
    }));
  });
  after(() => removeFolder(folder));

  it('a width that the file has not: cut from it, its batch norm calibrated on the images', async () => {
    expect(lines).to.include(
      `w0.50: the first channels of wider layers, not trained; batch norm calibrated on 80 images of ${train}`,
    );
    const { config, network, weights } = await openTrainedRun(run);
    expect(config.data).to.deep.include({ source: train, imageSize: 16, mean: [0.5, 0.5, 0.5] });
    const beta = (label: string) => [
      ...(weights.get(`encoder.layer3.1.bn1.${label}.beta`)!.data as Float32Array),
    ];
    expect(beta('w0.50')).to.deep.equal(beta('w1.00').slice(0, 32));
    const again = await calibrate(
      network,
      { ...config, batchSize: 32 },
      [0.5],
      weights,
      await openSource(train),
    );
    expect(again.size).to.be.greaterThan(40);
    for (const [name, { data }] of again) {
      const kept = weights.get(name)!.data as Float32Array;
      for (const [i, value] of (data as Float32Array).entries()) {
        expect(kept[i], name).to.be.closeTo(value, 1e-5 * Math.max(1, Math.abs(value)));
      }
    }
  });

  it('knn, probe, finetune and export go on from it', async () => {
    const images = { source: train, testSource: test };
    const knn = await evaluateKnn(run, { ...images, k: 5 });
    expect(knn.widths.map(({ trained }) => trained.top1)).to.satisfy((all: number[]) =>
      all.every((top1) => top1 > 0.8),
    );
    expect((await evaluateProbe(run, { ...images, protocol: 'ridge' })).widths).to.have.length(2);
    const finetuned = await evaluateFinetune(run, { ...images, labels: 0.5, epochs: 1, widths: [0.5] });
    expect(finetuned.widths).to.have.length(1);
    const { models } = await exportRun(run);
    for (const { maxRelativeError } of models) expect(maxRelativeError).to.be.lessThan(1e-4);
    expect(await readdir(join(run, 'export'))).to.include('resnet20.w0.50.onnx');
  });

  it('there is nothing to resume: what goes on from it is named', async () => {
    const { config } = await readCheckpoint((await latestCheckpoint(run)).path);
    const runFolder = run;
    const small = { ...config, batchSize: 8, method: { ...config.method, classes: 2 } };
    const error = await rejection(
      prepareRun({ config: small, runFolder, resume: true }, { onProgress: () => {}, onNotice: () => {} }),
    );
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(
      /holds imported weights and nothing to resume; accepted: a new run .* --init /,
    );
  });
});

describe('import of a checkpoint of this package', () => {
  let tiny: TinyRun;
  before(async () => (tiny = await makeTinyRun()));
  after(() => removeFolder(join(tiny.folder, '..')));

  it('the same config and weights, without what training keeps beside them', async () => {
    const output = join(tiny.folder, '..', 'imported');
    const { config, lines } = await importRun(tiny.folder, { output });
    expect({ ...config, init: tiny.config.init }).to.deep.equal(tiny.config);
    expect(lines).to.include('with the head of moco-v2');
    const { tensors } = await readCheckpoint((await latestCheckpoint(output)).path);
    expect([...tensors.keys()].sort()).to.deep.equal([...tiny.weights.keys()].sort());
  });

  it('with keys of another encoder: refused', async () => {
    const output = join(tiny.folder, '..', 'other');
    const error = await rejection(importRun(tiny.folder, { output, set: ['encoder.name=resnet32'] }));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.include(' has no encoder.layer1.3.conv1.weight of the shape that --set wants; ');
  });

  it('one of its widths alone; a damaged one: refused as everywhere', async () => {
    const output = join(tiny.folder, '..', 'narrow');
    expect((await importRun(tiny.checkpoint, { output, widths: [1] })).config.widths).to.deep.equal([1]);
    const { path } = await latestCheckpoint(output);
    const damaged = join(tiny.folder, '..', 'damaged.safetensors');
    const bytes = await readFile(path);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(damaged, bytes);
    const error = await rejection(importRun(damaged, { output: join(tiny.folder, '..', 'none') }));
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.match(/the checkpoint is damaged \(its SHA-256 is not the recorded /);
  });
});
