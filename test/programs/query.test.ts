import { expect } from 'chai';
import type { Config } from '../../src/config/schema.js';
import { calibrateProgram } from '../../src/programs/embed.js';
import { widthLabel } from '../../src/nn/widthLabel.js';
import { Random } from '../../src/random.js';
import { expectClose } from '../support/expectClose.js';
import { forEachTap } from '../support/naiveConvolution.js';
import { normal } from '../support/samples.js';
import { programOf, queueOf, runProgram, tinyConfig, tinyStep } from './tiny.js';

const softmax = (row: readonly number[], temperature: number) => {
  const largest = Math.max(...row);
  const powers = row.map((l) => Math.exp((l - largest) / temperature));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((p) => p / sum);
};

/** Runs the query program of a width; `teacher.w1.00` and `loss_weight` 1 unless given. */
async function query(
  step: ReturnType<typeof tinyStep>,
  width: number,
  feeds: Record<string, readonly number[]> = {},
) {
  const { config, weights, images, keys, queue } = step;
  return runProgram(
    programOf(config, `query.${widthLabel(width)}`),
    { images, keys: keys.flat(), queue: queue.flat(), loss_weight: [1], ...teacher(config), ...feeds },
    weights,
  );
}

function teacher({ batchSize, method }: Config) {
  return { 'teacher.w1.00': normal(new Random(7), batchSize * (1 + queueOf(method).queueSize)) };
}

describe('programs/query', () => {
  it('losses of the full width and of a sub-network equal the formulas on their logits', async () => {
    const step = tinyStep(tinyConfig({ techniques: { distillation: { kind: 'kd-logits', weight: 0.3 } } }));
    const { config } = step;
    const length = 1 + queueOf(config.method).queueSize;
    const rows = (values: readonly number[]) =>
      Array.from({ length: config.batchSize }, (_, n) => values.slice(n * length, (n + 1) * length));
    const mean = (values: readonly number[]) => values.reduce((a, b) => a + b) / values.length;
    const infoNce = (logits: readonly number[]) =>
      mean(rows(logits).map((row) => -Math.log(softmax(row, queueOf(config.method).temperature)[0]!)));

    const full = await query(step, 1);
    expectClose(full['loss']!, [infoNce(full['logits']!)], 1e-5);
    expect(full).not.to.have.property('distillation');

    const narrow = await query(step, 0.5);
    const teachers = rows(teacher(config)['teacher.w1.00']).map((row) => softmax(row, 5));
    const distillation = mean(
      rows(narrow['logits']!).map((row, n) =>
        softmax(row, 5).reduce((sum, p, j) => sum - teachers[n]![j]! * Math.log(p) * 25, 0),
      ),
    );
    expectClose(narrow['info_nce']!, [infoNce(narrow['logits']!)], 1e-5);
    expectClose(narrow['distillation']!, [distillation], 1e-5);
    expectClose(narrow['loss']!, [0.7 * infoNce(narrow['logits']!) + 0.3 * distillation], 1e-5);
  });

  it('loss_weight 2 doubles every gradient and leaves losses, logits and statistics as they are', async () => {
    const step = tinyStep();
    const once = await query(step, 0.5);
    const twice = await query(step, 0.5, { loss_weight: [2] });
    let moved = 0;
    for (const [name, values] of Object.entries(once)) {
      if (!name.startsWith('grad.')) expect(twice[name], name).to.deep.equal(values);
      else expectClose(twice[name]!, values.map((g) => 2 * g), 1e-6); // prettier-ignore
      if (name.startsWith('grad.')) moved += Math.hypot(...values);
    }
    expect(moved).to.be.greaterThan(0.01);
  });

  it('the gradient of a convolution, of a head weight and of a bias equals the slope of the loss', async () => {
    const step = tinyStep();
    const outputs = await query(step, 0.5);
    for (const [name, element, place] of [
      // Element [1, 2] of the block is at 1 * 32 + 2, of the full weight at 1 * 64 + 2.
      ['head.fc1.weight', 1 * 32 + 2, 1 * 64 + 2],
      ['head.fc2.bias', 3, 3],
      ['encoder.layer3.2.conv2.weight', (1 * 32 + 2) * 9 + 4, (1 * 64 + 2) * 9 + 4],
    ] as const) {
      const lossAt = async (offset: number) => {
        const values = [...step.weights[name]!];
        values[place]! += offset;
        return (await query(step, 0.5, { [name]: values }))['loss']![0]!;
      };
      const h = 1 / 16;
      // Richardson's combination of two central differences.
      const slope = async (h: number) => ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
      const expected = (4 * (await slope(h / 2)) - (await slope(h))) / 3;
      expect(outputs[`grad.${name}`]![element]!).to.be.closeTo(
        expected,
        2e-3 * Math.max(1, Math.abs(expected)),
      );
    }
  });

  it('a sub-network reads the leading blocks only: other elements of the weights change nothing', async () => {
    const step = tinyStep();
    const before = await query(step, 0.5);
    const name = 'encoder.layer2.0.conv1.weight';
    const [outputs, inputs, window] = [32, 16, 9];
    const values = step.weights[name]!.map((x, i) => {
      const inBlock =
        Math.floor(i / (inputs * window)) < outputs / 2 && Math.floor(i / window) % inputs < inputs / 2;
      return inBlock ? x : 1000;
    });
    expect(await query(step, 0.5, { [name]: values })).to.deep.equal(before);
  });

  it('new statistics: 0.9 of the old and 0.1 of the batch, mean and unbiased variance by a loop', async () => {
    const step = tinyStep();
    const { config, network, weights, images } = step;
    const size = config.data.imageSize;
    const filters = 8;
    const shape = {
      batch: config.batchSize,
      channels: 3,
      size: [size, size],
      filters,
      kernel: [3, 3],
    } as const;
    const y = new Array<number>(config.batchSize * filters * size * size).fill(0);
    // The first half of the filters is the leading part of the weight: all three image channels are read.
    forEachTap(
      { ...shape, strides: [1, 1], pads: [1, 1, 1, 1], dilations: [1, 1], group: 1 },
      (o, i, w) => (y[o]! += images[i]! * weights['encoder.conv1.weight']![w]!),
    );
    const perChannel = Array.from({ length: filters }, (_, k) =>
      y.filter((_, i) => Math.floor(i / (size * size)) % filters === k),
    );
    const count = perChannel[0]!.length;
    const means = perChannel.map((values) => values.reduce((a, b) => a + b) / count);
    const variances = perChannel.map(
      (values, k) => values.reduce((sum, x) => sum + (x - means[k]!) ** 2, 0) / (count - 1),
    );

    const outputs = await query(step, 0.5);
    const batch = await runProgram(calibrateProgram(network, config, 0.5), { images }, weights);
    for (const [statistic, expected] of [
      ['encoder.bn1.w0.50.running_mean', means],
      ['encoder.bn1.w0.50.running_var', variances],
    ] as const) {
      expectClose(batch[`batch.${statistic}`]!, expected, 1e-4);
      const moved = weights[statistic]!.map((old, k) => 0.9 * old + 0.1 * expected[k]!);
      expectClose(outputs[`new.${statistic}`]!, moved, 1e-4);
    }
  });
});
