import { expect } from 'chai';
import { SlimclrError } from '../../src/errors.js';
import { AccuracyCounter } from '../../src/evaluation/accuracy.js';
import { classify, type LinearClassifier } from '../../src/evaluation/linearClassifier.js';
import { trainProbe, type WidthFeatures } from '../../src/evaluation/probe.js';
import { SharedLayer } from '../../src/evaluation/probeLayers.js';
import { probeProgram, sharedProbeProgram } from '../../src/programs/probe.js';
import { Random } from '../../src/random.js';
import { floats, int64Vector } from '../../src/engines/hostGraph.js';
import { expectClose } from '../support/expectClose.js';
import { runGraph } from '../support/runGraph.js';
import { normal } from '../support/samples.js';
import { rejection } from '../support/rejection.js';

const runtime = { provider: 'cpu', threads: 1 } as const;

function softmax(row: readonly number[]): number[] {
  const exponentials = row.map((x) => Math.exp(x - Math.max(...row)));
  const total = exponentials.reduce((a, b) => a + b);
  return exponentials.map((e) => e / total);
}

/** The loss of docs/method.md and the gradient of its logits, in plain loops. */
function naiveStep(logits: number[][], labels: number[], teacher: number[][] | null) {
  const gradient: number[][] = [];
  let loss = 0;
  for (const [n, row] of logits.entries()) {
    const p = softmax(row);
    const soft = teacher && softmax(teacher[n]!);
    const target = p.map((_, c) => {
      const hard = c === labels[n] ? 1 : 0;
      return soft ? (hard + soft[c]!) / 2 : hard;
    });
    for (const [c, t] of target.entries()) loss -= (t * Math.log(p[c]!)) / logits.length;
    gradient.push(p.map((x, c) => (x - target[c]!) / logits.length));
  }
  return { loss, gradient };
}

describe('probeProgram', () => {
  const [batchSize, channels, classes] = [6, 5, 4];
  const random = new Random(3);
  const rows = (flat: number[], width: number) =>
    Array.from({ length: flat.length / width }, (_, i) => flat.slice(i * width, (i + 1) * width));
  const features = normal(random, batchSize * channels);
  const weight = normal(random, classes * channels);
  const bias = normal(random, classes);
  const teacher = normal(random, batchSize * classes);
  const labels = Array.from({ length: batchSize }, () => random.integer(classes));

  for (const distilled of [false, true]) {
    it(`${distilled ? 'distilled' : 'full width'}: loss and gradients equal the naive loops`, async () => {
      const { graph } = probeProgram({ width: 0.5, channels, classes, batchSize, distilled });
      const feeds = { features, labels, weight, bias, ...(distilled && { teacher_logits: teacher }) };
      const found = await runGraph(graph, feeds);
      const w = rows(weight, channels);
      const logits = rows(features, channels).map((x) =>
        w.map((row, c) => row.reduce((sum, value, i) => sum + value * x[i]!, bias[c]!)),
      );
      const { loss, gradient } = naiveStep(logits, labels, distilled ? rows(teacher, classes) : null);
      expectClose(found['loss']!, [loss], 1e-6);
      expectClose(found['logits']!, logits.flat(), 1e-6);
      const x = rows(features, channels);
      const weightGradient = w.map((row, c) =>
        row.map((_, i) => gradient.reduce((sum, g, n) => sum + g[c]! * x[n]![i]!, 0)),
      );
      expectClose(found['grad.weight']!, weightGradient.flat(), 1e-6);
      expectClose(found['grad.bias']!, bias.map((_, c) => gradient.reduce((s, g) => s + g[c]!, 0)), 1e-6); // prettier-ignore
    });
  }
});

describe('sharedProbeProgram', () => {
  const leadingColumns = [0, 0, 0];
  const ownColumns = [0, 2, 0];
  for (const [title, starts] of [
    ['leading', leadingColumns],
    ['own', ownColumns],
  ] as const)
    // prettier-ignore
    it(`3 widths of a layer of 6: losses on ${title} columns, gradients summed, none through the teacher`, async () => {
    const [batchSize, classes] = [5, 3];
    const widths = [6, 4, 2].map((channels, i) => ({ width: 1 - i / 4, channels, start: starts[i]! }));
    const random = new Random(8);
    const weight = normal(random, classes * 6);
    const bias = normal(random, classes);
    const labels = Array.from({ length: batchSize }, () => random.integer(classes));
    const features = widths.map(({ channels }) => normal(random, batchSize * channels));
    const names = ['w1.00', 'w0.75', 'w0.50'];
    const found = await runGraph(sharedProbeProgram({ widths, classes, batchSize }).graph, {
      ...Object.fromEntries(names.map((name, i) => [`features.${name}`, features[i]!])),
      labels,
      weight,
      bias,
    });

    const weightGradient = weight.map(() => 0);
    const biasGradient = bias.map(() => 0);
    let teacher: number[][] | null = null;
    for (const [i, { channels, start }] of widths.entries()) {
      const logits: number[][] = labels.map((_, n) =>
        bias.map((b, c) => {
          let sum = b;
          for (let k = 0; k < channels; k++) sum += weight[c * 6 + start + k]! * features[i]![n * channels + k]!;
          return sum;
        }),
      );
      const { loss, gradient } = naiveStep(logits, labels, teacher);
      teacher ??= logits;
      expectClose(found[`loss.${names[i]!}`]!, [loss], 1e-6);
      expectClose(found[`logits.${names[i]!}`]!, logits.flat(), 1e-6);
      for (const [n, row] of gradient.entries()) {
        for (const [c, g] of row.entries()) {
          biasGradient[c]! += g;
          for (let k = 0; k < channels; k++)
            weightGradient[c * 6 + start + k]! += g * features[i]![n * channels + k]!;
        }
      }
    }
    expectClose(found['grad.weight']!, weightGradient, 1e-6);
    expectClose(found['grad.bias']!, biasGradient, 1e-6);
  });
});

describe('SharedLayer', () => {
  it('a width whose channels start at 1: its classifier has the columns of the full width’s from 1 on', async () => {
    const widths = [
      { width: 1, channels: 5 },
      { width: 0.5, channels: 2, start: 1 },
    ];
    const layer = await SharedLayer.open({ widths, classes: 3, batchSize: 4 }, runtime);
    const random = new Random(9);
    const features = widths.map(({ channels }) =>
      floats(Float32Array.from(normal(random, 4 * channels)), [4, channels]),
    );
    await layer.step(features, int64Vector(Int32Array.of(0, 1, 2, 1)), 0.1);
    const [full, half] = await layer.classifiers();
    const columns = [0, 1, 2].flatMap((row) => [...full!.weight.subarray(row * 5 + 1, row * 5 + 3)]);
    expect([...half!.weight]).to.deep.equal(columns);
    expect(columns.every((value) => value !== 0)).to.equal(true);
    await layer.close();
  });
});

describe('trainProbe', () => {
  const classes = 3;
  const count = 90;

  /** Class c sits at offset 100 + 10 c along axis c, every axis of another scale. */
  function separable(width: number, channels: number): WidthFeatures {
    const random = new Random(channels);
    const data = new Float32Array(count * channels);
    for (let i = 0; i < data.length; i++) {
      const [image, axis] = [Math.floor(i / channels), i % channels];
      data[i] = 10 ** (axis - 2) * (100 + (image % classes === axis ? 10 : 0) + random.uniform(-1, 1));
    }
    return { width, count, channels, data };
  }
  const labels = Int32Array.from({ length: count }, (_, i) => i % classes);
  const images = { widths: [separable(1, 5), separable(0.5, 4)], labels, classes };
  const settings = { epochs: 30, learningRate: 3, batchSize: 32, seed: 5 };

  async function top1(classifier: LinearClassifier, features: WidthFeatures): Promise<number> {
    const counter = new AccuracyCounter();
    await classify(classifier, features, runtime, (scores, i) => counter.add(scores, labels[i]!));
    return counter.accuracy.top1;
  }

  it('separable classes on raw features far from 0 and of unlike scales, 2 widths: 100 %', async () => {
    const classifiers = await trainProbe('switchable', images, settings, runtime);
    for (const [i, classifier] of classifiers.entries()) {
      expect(await top1(classifier, images.widths[i]!)).to.equal(1);
    }
  });

  it('shared layer, 2 widths whose features mean opposite things: worse than a classifier each', async () => {
    const [full, narrow] = images.widths as [WidthFeatures, WidthFeatures];
    const opposite = { ...images, widths: [full, { ...narrow, data: narrow.data.map((x) => -x) }] };
    const accuracies = async (layer: 'switchable' | 'shared') => {
      const classifiers = await trainProbe(layer, opposite, settings, runtime);
      return Promise.all(classifiers.map((classifier, i) => top1(classifier, opposite.widths[i]!)));
    };
    expect(await accuracies('switchable')).to.deep.equal([1, 1]);
    const [first, second] = await accuracies('shared');
    expect(first! + second!).to.be.below(1.5);
  });

  it('shared layer, 2 widths that agree: 100 %, and the same columns for both but for the standardisation', async () => {
    const flat = {
      ...images.widths[0]!,
      data: images.widths[0]!.data.map((x, i) => x / 10 ** ((i % 5) - 2)),
    };
    const twice = { ...images, widths: [flat, { ...flat, width: 0.5 }] };
    const [full, half] = await trainProbe('shared', twice, settings, runtime);
    expect(full).to.deep.equal(half);
    expect(await top1(full!, flat)).to.equal(1);
  });

  it('the same seed gives the same classifiers, another seed others', async () => {
    const weights = async (seed: number) =>
      (await trainProbe('switchable', images, { ...settings, seed }, runtime)).map(({ weight }) => weight);
    const first = await weights(5);
    expect(await weights(5)).to.deep.equal(first);
    expect(await weights(6)).to.not.deep.equal(first);
  });

  it('a sub-network is taught by the full width: another teacher, another classifier', async () => {
    const [full, narrow] = images.widths as [WidthFeatures, WidthFeatures];
    const noise = { ...full, data: full.data.map((_, i) => Math.sin(i * i)) };
    const misleading = { ...images, widths: [noise, narrow] };
    const [, taught] = await trainProbe('switchable', images, settings, runtime);
    const [, misled] = await trainProbe('switchable', misleading, settings, runtime);
    expect(misled!.weight).to.not.deep.equal(taught!.weight);
  });

  it('one step on all images from 0: the gradient step that the formula gives', async () => {
    const raw: WidthFeatures = { width: 1, count: 4, channels: 1, data: Float32Array.of(-3, -1, 1, 3) };
    const [classifier] = await trainProbe(
      'switchable',
      { widths: [raw], labels: Int32Array.of(0, 0, 1, 1), classes: 2 },
      { epochs: 1, learningRate: 0.5, batchSize: 256, seed: 0 },
      runtime,
    );
    // Standardised x = raw / sqrt(5); at 0 both probabilities are 1/2; dL/dw_1 = mean((1/2 - y) x) = -1 / sqrt(5).
    // The step of 0.5 gives w_1 = 0.5 / sqrt(5) on x, so 0.1 on raw features.
    expectClose([...classifier!.weight], [-0.1, 0.1], 1e-6);
    expectClose([...classifier!.bias], [0, 0], 1e-6);
  });

  it('a learning rate that overflows: SlimclrError that names it', async () => {
    const error = await rejection(
      trainProbe('switchable', images, { ...settings, learningRate: 1e38 }, runtime),
    );
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.contain('1e+38');
  });
});
