import { expect } from 'chai';
import { finetuneProgram } from '../../src/programs/finetune.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { normal } from '../support/samples.js';
import { runProgram, tinyStep } from './tiny.js';

describe('programs/finetune: ResNet-20, 5 classes', () => {
  const { config, network, weights, images } = tinyStep();
  const classes = 5;
  const labels = [3, 0, 4, 3];
  const random = new Random(11);
  const classifier = {
    'classifier.weight': normal(random, classes * 64),
    'classifier.bias': normal(random, classes),
  };

  function run(width: number, changes: Record<string, readonly number[]> = {}) {
    const weight = classifier['classifier.weight'].slice(0, classes * 64 * width);
    return runProgram(
      finetuneProgram(network, config, width, classes),
      { images, labels, ...classifier, 'classifier.weight': weight, ...changes },
      weights,
    );
  }

  for (const width of [1, 0.5]) {
    it(`width ${width}: loss and bias gradient equal the formula on the logits`, async () => {
      const outputs = await run(width);
      const rows = labels.map((_, n) => outputs['logits']!.slice(n * classes, (n + 1) * classes));
      const probabilities = rows.map((row) => {
        const powers = row.map((x) => Math.exp(x - Math.max(...row)));
        return powers.map((power) => power / powers.reduce((a, b) => a + b));
      });
      const loss = labels.reduce(
        (sum, label, n) => sum - Math.log(probabilities[n]![label]!) / labels.length,
        0,
      );
      expectClose(outputs['loss']!, [loss], 1e-5);
      const gradient = Array.from({ length: classes }, (_, c) =>
        labels.reduce(
          (sum, label, n) => sum + (probabilities[n]![c]! - (label === c ? 1 : 0)) / labels.length,
          0,
        ),
      );
      expectClose(outputs['grad.classifier.bias']!, gradient, 1e-5);
    });
  }

  it('width 0.5: gradients of a convolution, a gamma and the classifier equal the slope of the loss', async () => {
    const outputs = await run(0.5);
    const all: Readonly<Record<string, readonly number[]>> = {
      ...weights,
      'classifier.weight': classifier['classifier.weight'].slice(0, classes * 32),
    };
    for (const [name, element, place] of [
      // Element [1, 2] of the block is at 1 * 32 + 2, of the full weight at 1 * 64 + 2.
      ['encoder.layer3.2.conv2.weight', (1 * 32 + 2) * 9 + 4, (1 * 64 + 2) * 9 + 4],
      ['encoder.layer3.2.bn2.w0.50.gamma', 3, 3],
      ['classifier.weight', 40, 40],
    ] as const) {
      const lossAt = async (offset: number) => {
        const values = [...all[name]!];
        values[place]! += offset;
        return (await run(0.5, { [name]: values }))['loss']![0]!;
      };
      const h = 1 / 16;
      // Richardson's combination of two central differences.
      const slope = async (h: number) => ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
      const expected = (4 * (await slope(h / 2)) - (await slope(h))) / 3;
      const found = outputs[`grad.${name}`]![element]!;
      expect(found, name).to.be.closeTo(expected, 2e-3 * Math.max(1, Math.abs(expected)));
      expect(Math.abs(expected), name).to.be.greaterThan(1e-2);
    }
  });

  it('outputs: a gradient of each parameter of the width and the classifier, a new value of each statistic', () => {
    const { outputsOf } = finetuneProgram(network, config, 0.5, classes);
    const { parameters, statistics } = network.declarations;
    const own = parameters.filter(({ name, slice }) => name.startsWith('encoder.') && slice(0.5));
    expect([...outputsOf!.values()].sort()).to.deep.equal(
      [
        ...own.map(({ name }) => name),
        ...statistics.filter(({ name }) => /^encoder.*w0\.50/.test(name)).map(({ name }) => name),
        'classifier.weight',
        'classifier.bias',
      ].sort(),
    );
  });
});
