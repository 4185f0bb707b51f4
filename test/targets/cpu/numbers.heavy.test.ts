import { expect } from 'chai';
import { parseConfig } from '../../../src/config/load.js';
import type { ConfigInput } from '../../../src/config/schema.js';
import { emitPrograms } from '../../../src/programs/folder.js';
import type { GraphEntry } from '../../../src/programs/manifest.js';
import { methodPrograms } from '../../../src/methods/index.js';
import { builtIn, type Choices } from '../../../src/targets/cpu/choices.js';
import { cpuTarget } from '../../../src/targets/cpu/index.js';
import { portable } from '../../../src/targets/portable.js';
import type { Target } from '../../../src/targets/target.js';
import { compare, errorsOf, padded, type Errors } from '../../../tools/reference/comparison.js';
import { gradientErrors } from '../../../tools/reference/gradientTable.js';
import { drawGradientInputs } from '../../../tools/reference/inputs.js';
import { runGradients } from '../../../tools/reference/step.js';
import { placeMargins } from '../../support/reluMargins.js';

interface Case {
  readonly title: string;
  readonly encoder: NonNullable<ConfigInput['encoder']>;
  readonly size: number;
  readonly batch: number;
  readonly widths?: number[];
  /** Betas of most channels are about +-shift, so that means are far larger than standard deviations. */
  readonly shift?: number;
  readonly choices?: Choices;
  readonly images?: 'flat';
  readonly weights?: 'non-overlapping';
}

/** Every recipe that a choice can take, whether it pays or not. */
const folded: Choices = { ...builtIn, folded: () => true, winograd: () => false };
const unfolded: Choices = { ...builtIn, folded: () => false, winograd: () => false };
const winograd: Choices = {
  ...builtIn,
  folded: () => true,
  winograd: ({ kernel, stride, height, width }) =>
    kernel === 3 && stride === 1 && Math.min(height, width) >= 4,
};

const resnet20 = { name: 'resnet20', stem: 'cifar' } as const;
// Widths 0.75, 0.5 and 0.25 of ResNet-20 have layers of 12, 8 and 4 channels, fewer than a block.
const cases: readonly Case[] = [
  { title: 'ResNet-20, maps 16, 8, 4', encoder: resnet20, size: 16, batch: 6 },
  { title: 'ResNet-20, maps 24, 12, 6, all folded', encoder: resnet20, size: 24, batch: 5, choices: folded },
  { title: 'ResNet-20, none folded', encoder: resnet20, size: 16, batch: 1, choices: unfolded },
  {
    title: 'ResNet-20, Winograd wherever it can be: tiles of 4 and 5, that meet or do not',
    encoder: resnet20,
    size: 28,
    batch: 3,
    choices: winograd,
  },
  {
    title: 'ResNet-20, Winograd wherever it can be: tiles of 4 and 3',
    encoder: resnet20,
    size: 24,
    batch: 3,
    choices: winograd,
  },
  {
    title: 'ResNet-20, Winograd wherever it can be, samples in whole blocks',
    encoder: resnet20,
    size: 20,
    batch: 32,
    widths: [1, 0.5],
    choices: winograd,
  },
  {
    title: 'ResNet-20, none folded, more samples than a block has channels',
    encoder: resnet20,
    size: 16,
    batch: 32,
    widths: [1, 0.75],
    choices: unfolded,
  },
  { title: 'ResNet-20, widths 0.8 and 0.3', encoder: resnet20, size: 12, batch: 4, widths: [1, 0.8, 0.3] },
  { title: 'ResNet-20, stride over an odd map, left to portable', encoder: resnet20, size: 10, batch: 6 },
  {
    title: 'ResNet-20, non-overlapping widths that start within a block and between blocks',
    encoder: resnet20,
    size: 16,
    batch: 6,
    widths: [1, 0.5, 0.25],
    weights: 'non-overlapping',
  },
  {
    title: 'ResNet-18, non-overlapping widths, stem of 64 channels',
    encoder: { name: 'resnet18', stem: 'cifar' },
    size: 12,
    batch: 5,
    widths: [1, 0.4, 0.25],
    weights: 'non-overlapping',
  },
  { title: 'ResNet-20, betas of +-5', encoder: resnet20, size: 16, batch: 8, shift: 5 },
  { title: 'ResNet-18, maps 12, 6, 3, 2', encoder: { name: 'resnet18', stem: 'cifar' }, size: 12, batch: 5 },
  {
    title: 'ResNet-50, 7x7 stem, maps 16 to 2',
    encoder: { name: 'resnet50', stem: 'imagenet' },
    size: 64,
    batch: 4,
  },
  {
    title: 'ResNet-18, 7x7 stem, its map of 16 pooled to 8, objects on white and black',
    encoder: { name: 'resnet18', stem: 'imagenet' },
    size: 32,
    batch: 6,
    widths: [1, 0.75, 0.25],
    images: 'flat',
  },
  {
    title: 'ResNet-18, 7x7 stem, its map of 33 pooled to 17, objects on white and black',
    encoder: { name: 'resnet18', stem: 'imagenet' },
    size: 65,
    batch: 4,
    widths: [1, 0.5],
    images: 'flat',
  },
  {
    title: 'ResNet-20, objects on white and black',
    encoder: resnet20,
    size: 16,
    batch: 6,
    images: 'flat',
  },
];

/**
 * Errors of the cpu target against the portable one: keys, losses, statistics, gradients and their sums, on the same
 * random values. Running means are close to the batch's, as after some steps, and no ReLU input is within rounding
 * error of 0, so that the gradients do not jump between the two.
 */
async function compareTargets({
  encoder,
  size,
  batch,
  widths,
  shift,
  images,
  choices,
  weights,
}: Case): Promise<Errors[]> {
  const config = parseConfig({
    encoder,
    data: { imageSize: size },
    batchSize: batch,
    method: { kind: 'moco-v2', queueSize: 4 * batch, dimension: 16 },
    runtime: { threads: 2 },
    ...(widths && { widths }),
    ...(weights && { techniques: { weights } }),
  });
  const { network, programs: all } = methodPrograms(config);
  const programs = all.filter(({ kind }) => ['key', 'query', 'combine'].includes(kind));
  const emitFor = (target: Target) => {
    const emitted = emitPrograms(network, config, target, programs);
    const bytes = new Map(emitted.programs.map(({ entry, bytes }) => [entry.name, bytes]));
    return { ...emitted, read: ({ name }: GraphEntry) => bytes.get(name)! };
  };
  const reference = emitFor(portable);
  // As every ONNX Runtime takes it, and as this one does.
  const kinds = [false, true].map((plainGroups) => emitFor(cpuTarget(16, choices, { plainGroups })));

  const values = drawGradientInputs(reference.manifest, config, {
    seed: 0,
    ...(shift !== undefined && { shift }),
    ...(images && { images }),
  });
  for (const [name, mean] of await placeMargins(reference, values)) {
    const data = mean.map((m) => 1.02 * m + 0.02);
    for (const of of [name, `key.${name}`]) {
      const drawn = values.get(of);
      if (drawn) values.set(of, { ...drawn, data });
    }
  }

  const shapes = new Map(reference.manifest.parameters.map(({ name, shape }) => [name, shape]));
  const expected = await runGradients(reference, values);
  for (const [name, tensor] of expected) {
    const shape = shapes.get(name.replace(/^.*grad\./, '')) ?? tensor.shape;
    expected.set(name, { ...tensor, shape, data: padded(tensor, shape) });
  }
  const errors: Errors[] = [];
  for (const cpu of kinds) errors.push(errorsOf(await runGradients(cpu, values), expected));
  return errors;
}

describe('targets/cpu: numbers equal to portable', () => {
  for (const tested of cases) {
    it(`${tested.title}: ${tested.size}x${tested.size}, batch ${tested.batch}`, async function () {
      this.timeout(120_000);
      for (const errors of await compareTargets(tested)) expectSmall(tested, errors);
    });
  }
});

function expectSmall(tested: Case, errors: Errors): void {
  // Without bounds raised by PyTorch's errors, which are not measured here.
  const exact = compare(errors, [new Map([...errors.keys()].map((name) => [name, { largest: 0, l2: 0 }]))]);
  for (const { quantity, tensors, mismatched } of exact) {
    expect(mismatched, quantity).to.deep.equal([]);
    if (quantity.endsWith('gradients')) continue;
    for (const { name, error } of tensors) expect(error, name).to.be.at.most(1e-5);
  }

  // PyTorch's float32 runs are as far from float64 (tools/reference/README.md); a wrong recipe is at 1e-2.
  const bound = tested.shift === undefined ? { median: 1e-5, worst: 5e-5 } : { median: 2e-5, worst: 5e-4 };
  const { largest } = gradientErrors(errors);
  const labels = errors.has('grad.head.fc1.weight') ? Object.keys(largest) : [];
  expect(labels.length).to.equal((tested.widths?.length ?? 4) + 1);
  for (const label of labels) {
    expect(largest[label]!.median, `${label}, median`).to.be.at.most(bound.median);
    expect(largest[label]!.worst, `${label}, worst`).to.be.at.most(bound.worst);
  }
}
