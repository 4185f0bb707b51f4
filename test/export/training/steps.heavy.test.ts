import { rmSync } from 'node:fs';
import { expect } from 'chai';
import type { ConfigInput } from '../../../src/config/schema.js';
import { HostGraph } from '../../../src/engines/hostGraph.js';
import { exportModel } from '../../../src/export/exportModel.js';
import { plainForm } from '../../../src/export/form.js';
import type { TrainingSubject } from '../../../src/export/training/artifacts.js';
import { defaultLearningRate } from '../../../src/export/training/optimizerModel.js';
import { trainableLayers, type TrainableLayers } from '../../../src/export/training/trainableLayers.js';
import { cut, embedded } from '../../../src/graph/region.js';
import { elementCount } from '../../../src/onnx/model.js';
import type { TensorData } from '../../../src/onnx/safetensors.js';
import type { Weights } from '../../../src/programs/bindWeights.js';
import { ownSteps, type Batch } from './ownSteps.js';
import { trainInPython } from './pythonTraining.js';
import { trainingPython } from '../../support/pythons.js';
import { batchesOf, subjectOf, writtenArtifacts } from './subject.js';
import { trainInWebAssembly } from './webTraining.js';

type Case = readonly [title: string, TrainableLayers, width: number, ConfigInput?];

const imagenet = (name: 'resnet18' | 'resnet50'): ConfigInput => ({
  encoder: { name, stem: 'imagenet' },
  widths: [1, 0.25],
  data: { imageSize: 32 },
});

const cases: readonly Case[] = [
  ...trainableLayers.map((layers): Case => ['ResNet-20', layers, 0.5]),
  ['ResNet-20', 'all', 1],
  ['ResNet-18, ImageNet stem', 'all', 0.25, imagenet('resnet18')],
  ['ResNet-50, ImageNet stem', 'all', 0.25, imagenet('resnet50')],
  ['ResNet-50, ImageNet stem', 'stage', 0.25, imagenet('resnet50')],
  [
    'ResNet-20, widths apart',
    'all',
    0.5,
    { widths: [1, 0.5, 0.25], techniques: { weights: 'non-overlapping' } },
  ],
];

const tolerance = 1e-5;

/** The largest difference, relative to the largest of the expected values. */
function relativeError(actual: readonly number[], expected: readonly number[]): number {
  if (actual.length !== expected.length) return Infinity;
  const largest = Math.max(...expected.map(Math.abs));
  return Math.max(...actual.map((value, i) => Math.abs(value - expected[i]!))) / largest;
}

describe('fine-tuning with the training artifacts', function () {
  this.timeout(300_000);
  const { missing } = trainingPython();

  for (const [title, layers, width, input] of cases) {
    const what = `${title} at width ${width}, ${layers}`;

    it(`onnxruntime-training, ${what}: our own steps, over a save; exported there it is our export${missing}`, async function () {
      if (missing) return this.skip();
      const subject = subjectOf(width, layers, input);
      const batches = batchesOf(subject, ...(title.includes('ImageNet') ? [4, 4, 3] : [8, 8, 5, 8, 1]));
      const { folder, trained } = writtenArtifacts(subject);
      const names = trained.map(({ name }) => name);
      const learningRate = 0.002;
      const found = trainInPython(folder, batches, learningRate, 2);
      rmSync(folder, { recursive: true });
      const own = await ownSteps(subject, names, batches, learningRate);
      expect(relativeError(found.losses, own.losses)).to.be.below(tolerance);
      expect(found.names).to.deep.equal({
        train: [
          ['images', 'labels'],
          ['loss', 'logits'],
        ],
        eval: [
          ['images', 'labels'],
          ['loss', 'logits'],
        ],
      });
      expect(Object.keys(found.trained)).to.have.members(names);
      const ours = await exported(subject, new Map(Object.entries(found.trained)), batches[0]!);
      expect(found.exported.inputs).to.deep.equal(['images']);
      for (const output of ['features', 'logits'] as const) {
        expect(relativeError(found.exported[output], ours[output]), output).to.be.below(tolerance);
      }
      expect(relativeError(found.logits, ours.logits)).to.be.below(tolerance);
      expect(found.properties).to.include({ width: String(width), classes: '["cat","dog","fox"]' });
    });
  }

  for (const layers of trainableLayers) {
    const learningRate = layers === 'classifier' ? 0.02 : defaultLearningRate;
    it(`WebAssembly, ResNet-20 at width 0.5, ${layers}, learning rate ${learningRate}: our own steps`, async () => {
      const subject = { ...subjectOf(0.5, layers), learningRate };
      const batches = batchesOf(subject, 8, 8, 5, 8, 1);
      const { folder, trained } = writtenArtifacts(subject);
      const found = await trainInWebAssembly(folder, batches);
      rmSync(folder, { recursive: true });
      const names = trained.map(({ name }) => name);
      const own = await ownSteps(subject, names, batches, learningRate);
      expect(relativeError(found.losses, own.losses)).to.be.below(tolerance);
      const { logits } = await exported(subject, own.tensors, batches[0]!);
      expect(relativeError(found.logits, logits)).to.be.below(1e-4);
    });
  }
});

/** What our own export gives out for a batch with trained blocks in place of the run's. */
async function exported(
  { classifier, classNames, ...subject }: TrainingSubject,
  trained: ReadonlyMap<string, number[]>,
  { images, labels }: Batch,
): Promise<Record<'features' | 'logits', number[]>> {
  const [weight, bias] = ['weight', 'bias'].map((name) =>
    Float32Array.from(trained.get(`classifier.${name}`)!),
  );
  const finetuned = { ...classifier, weight: weight!, bias: bias! };
  const weights = withBlocks(subject, trained);
  const { bytes } = await exportModel({ ...subject, weights, form: plainForm }, subject.width, {
    classifier: finetuned,
    classes: classNames!,
  });
  const graph = await HostGraph.open(bytes, { provider: 'cpu', threads: 1 });
  const size = subject.config.data.imageSize;
  const shape = [labels.length, 3, size, size];
  const outputs = await graph.run({ images: { dtype: 'float32', shape, data: images } });
  await graph.close();
  const values = (name: string) => Array.from(outputs[name]!.data as Float32Array);
  return { features: values('features'), logits: values('logits') };
}

/** Full-width weights in which the blocks of the width are replaced. */
function withBlocks(
  { network, weights, width }: Pick<TrainingSubject, 'network' | 'weights' | 'width'>,
  blocks: ReadonlyMap<string, number[]>,
): Weights {
  const replaced = new Map<string, TensorData>(weights);
  for (const { name, shape, slice } of network.declarations.parameters) {
    const block = blocks.get(name);
    const region = block && slice(width);
    if (!region) continue;
    const before = weights.get(name)!.data as Float32Array;
    const part = cut(before, shape, region);
    const moved = embedded(
      Float32Array.from(block, (x, i) => x - part[i]!),
      region,
      shape,
    );
    expect(elementCount(region.shape)).to.equal(block.length);
    replaced.set(name, { dtype: 'float32', shape, data: before.map((x, i) => x + moved[i]!) });
  }
  return replaced;
}
