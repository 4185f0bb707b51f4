import { expect } from 'chai';
import { SlimclrError } from '../../src/errors.js';
import { AccuracyCounter } from '../../src/evaluation/accuracy.js';
import { classify, type LinearClassifier } from '../../src/evaluation/linearClassifier.js';
import { trainProbe, type WidthFeatures } from '../../src/evaluation/probe.js';
import { probeProgram } from '../../src/programs/probe.js';
import { Random } from '../../src/random.js';
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
  const widths = [separable(1, 5), separable(0.5, 4)];
  const settings = { epochs: 30, learningRate: 3, batchSize: 32, seed: 5 };

  async function top1(classifier: LinearClassifier, features: WidthFeatures): Promise<number> {
    const counter = new AccuracyCounter();
    await classify(classifier, features, runtime, (scores, i) => counter.add(scores, labels[i]!));
    return counter.accuracy.top1;
  }

  it('separable classes on raw features far from 0 and of unlike scales, 2 widths: 100 %', async () => {
    const classifiers = await trainProbe(widths, labels, classes, settings, runtime);
    for (const [i, classifier] of classifiers.entries()) {
      expect(await top1(classifier, widths[i]!)).to.equal(1);
    }
  });

  it('the same seed gives the same classifiers, another seed others', async () => {
    const weights = async (seed: number) =>
      (await trainProbe(widths, labels, classes, { ...settings, seed }, runtime)).map(({ weight }) => weight);
    const first = await weights(5);
    expect(await weights(5)).to.deep.equal(first);
    expect(await weights(6)).to.not.deep.equal(first);
  });

  it('a sub-network is taught by the full width: another teacher, another classifier', async () => {
    const noise = { ...widths[0]!, data: widths[0]!.data.map((_, i) => Math.sin(i * i)) };
    const [, taught] = await trainProbe(widths, labels, classes, settings, runtime);
    const [, misled] = await trainProbe([noise, widths[1]!], labels, classes, settings, runtime);
    expect(misled!.weight).to.not.deep.equal(taught!.weight);
  });

  it('one step on all images from 0: the gradient step that the formula gives', async () => {
    const raw: WidthFeatures = { width: 1, count: 4, channels: 1, data: Float32Array.of(-3, -1, 1, 3) };
    const [classifier] = await trainProbe(
      [raw],
      Int32Array.of(0, 0, 1, 1),
      2,
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
      trainProbe(widths, labels, classes, { ...settings, learningRate: 1e38 }, runtime),
    );
    expect(error).to.be.instanceOf(SlimclrError);
    expect(error.message).to.contain('1e+38');
  });
});
