import { readdir, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { UsageError } from '../../../src/errors.js';
import { evaluateProbe } from '../../../src/evaluation/evaluateProbe.js';
import { exportTraining, type TrainingExportOptions } from '../../../src/export/training/exportTraining.js';
import type { TrainableLayers } from '../../../src/export/training/trainableLayers.js';
import { sha256File } from '../../../src/onnx/hash.js';
import { decodeModel } from '../../../src/onnx/model.js';
import { version } from '../../../src/version.js';
import { makeTinyRun, type TinyRun } from '../../evaluation/tinyRun.js';
import { rejection } from '../../support/rejection.js';
import { removeFolder } from '../../support/removeFolder.js';

const files = [
  'checkpoint',
  'eval_model.onnx',
  'optimizer_model.onnx',
  'training.json',
  'training_model.onnx',
];

describe('exportTraining: ResNet-20, widths 1 and 0.5, images of two classes', function () {
  this.timeout(120_000);
  let run: TinyRun;
  beforeEach(async () => (run = await makeTinyRun()));
  afterEach(() => removeFolder(dirname(run.folder)));

  const described = async (folder: string): Promise<unknown> =>
    JSON.parse(await readFile(join(run.folder, folder, 'training.json'), 'utf8'));
  const evaluationOf = async (folder: string) =>
    decodeModel(await readFile(join(run.folder, folder, 'eval_model.onnx')));

  it('each width: a folder of its own, verified, which training.json describes', async () => {
    const exported = await exportTraining(run.folder);
    expect(exported.map(({ folder }) => folder)).to.deep.equal([
      'export/resnet20.w1.00.training',
      'export/resnet20.w0.50.training',
    ]);
    for (const { folder, ...description } of exported) {
      expect(await readdir(join(run.folder, folder))).to.have.members(files);
      expect(await described(folder)).to.deep.equal(description);
      const { maxRelativeError, parameters, bytes, ...rest } = description;
      expect(maxRelativeError).to.be.below(1e-5);
      expect(bytes).to.be.above(4 * (parameters.trained + parameters.frozen));
      expect(rest).to.deep.equal({
        kind: 'training',
        version: 1,
        slimclr: version,
        encoder: 'resnet20',
        method: 'moco-v2',
        width: folder.includes('w1.00') ? 1 : 0.5,
        checkpoint: 'checkpoints/step-00000003.safetensors',
        sha256: await sha256File(run.checkpoint),
        trainable: 'all',
        classes: 2,
        classNames: ['blue', 'red'],
        images: { size: 16, resize: 18, mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
        optimizer: {
          kind: 'adamw',
          learningRate: 0.001,
          beta1: 0.9,
          beta2: 0.999,
          epsilon: 1e-8,
          weightDecay: 0.01,
        },
      });
    }
    // He et al., 2016, section 4.2, with projection shortcuts: 271,824; and a classifier of 64 channels.
    expect(exported[0]!.parameters).to.deep.equal({ trained: 271_824 + 2 * 64 + 2, frozen: 0 });
  });

  it('classes of a number, without names; layers that the name of the folder says; another size', async () => {
    const options = { widths: [0.5], classes: 5, trainable: 'stage', size: 24 } as const;
    const [exported] = await exportTraining(run.folder, options);
    expect(exported!.folder).to.equal('export/resnet20.w0.50.s24.training-stage');
    expect(exported).to.deep.include({ classes: 5, classNames: null, trainable: 'stage' });
    expect(exported!.images).to.include({ size: 24, resize: 27 });
    const { inputs, outputs, metadata } = await evaluationOf(exported!.folder);
    expect(inputs.find(({ name }) => name === 'images')!.type.shape).to.deep.equal(['batch', 3, 24, 24]);
    expect(outputs.find(({ name }) => name === 'logits')!.type.shape).to.deep.equal(['batch', 5]);
    expect(metadata).not.to.have.property('classes');
  });

  it("begins with a probe's classifier, which its verification checks", async () => {
    await evaluateProbe(run.folder, { testSource: run.test, epochs: 20 });
    const fresh = await exportTraining(run.folder, { widths: [0.5] });
    const before = await readFile(join(run.folder, fresh[0]!.folder, 'checkpoint'));
    const [exported] = await exportTraining(run.folder, { widths: [0.5], classifier: true });
    expect(exported!.classNames).to.deep.equal(['blue', 'red']);
    expect(exported!.maxRelativeError).to.be.below(1e-5);
    const after = await readFile(join(run.folder, exported!.folder, 'checkpoint'));
    expect(after.length).to.equal(before.length);
    expect(after.equals(before)).to.equal(false);
  });

  it('without verification and with a number of classes no images are needed', async () => {
    await rename(run.train, `${run.train}-gone`);
    const [exported] = await exportTraining(run.folder, { widths: [0.5], verify: false, classes: 3 });
    expect(exported!.maxRelativeError).to.equal(null);
    expect((await evaluationOf(exported!.folder)).metadata).to.include({ verified: 'false' });
  });

  const refused: Readonly<Record<string, readonly [TrainingExportOptions, RegExp]>> = {
    'one class': [{ classes: 1 }, /^export: 1 classes; accepted: an integer >= 2$/],
    'layers that there are not': [
      { trainable: 'head' as TrainableLayers },
      /^export: head is nothing to train; accepted: classifier, stage, all$/,
    ],
    'a learning rate of 0': [{ learningRate: 0 }, /^export: a learning rate of 0; accepted: a number > 0$/],
    'a width that the run does not have': [{ widths: [0.3] }, /no width 0.3; accepted: 1, 0.5$/],
    'images where neither verification nor classes are theirs': [
      { classes: 3, verify: false, source: 'photos' },
      /^export: photos are images to verify on, and nothing is to be verified$/,
    ],
    "a number of classes and a probe's classifier": [
      { classes: 3, classifier: true },
      /has its own classes; accepted: .*--classes.*--classifier/,
    ],
  };
  for (const [title, [options, message]] of Object.entries(refused)) {
    it(`${title}: UsageError`, async () => {
      const error = await rejection(exportTraining(run.folder, options));
      expect(error).to.be.instanceOf(UsageError);
      expect(error.message).to.match(message);
    });
  }

  it('images without classes: UsageError that names --classes', async () => {
    const error = await rejection(exportTraining(run.folder, { source: join(run.train, 'blue') }));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(/has no classes; accepted: .*--classes/);
  });
});
