import { notDifferentiable } from '../../../src/ops/operator.js';
import type { GradientCase } from '../../support/checkGradient.js';
import { normal } from '../../support/samples.js';

const shapes = [[4], [3, 5], [2, 3, 4], [1, 2]];

function overLastAxis(op: 'Softmax' | 'LogSoftmax'): GradientCase[] {
  return shapes.map((shape) => ({
    title: `[${shape.join(',')}]`,
    inputs: [{ shape }],
    build: (b, [x]) => [b.op(op, [x!])],
  }));
}

type Logits = GradientCase['inputs'][number];

function logitsOf(rows: number, classes: number, scale = 1): Logits {
  return {
    shape: [rows, classes],
    sample: (random, count) => normal(random, count).map((x) => scale * x),
  };
}

/** Without labels column 0 is right. */
function crossEntropy(
  title: string,
  logits: Logits,
  labels: readonly number[] | null,
  temperature?: number,
): GradientCase {
  return {
    title,
    inputs: [logits],
    build: (b, [z]) => [
      b.op(
        'SoftmaxCrossEntropy',
        [z!, labels && b.graph.constant(BigInt64Array.from(labels, BigInt), [labels.length], 'int64')],
        temperature === undefined ? {} : { temperature },
      ),
    ],
  };
}

function meanCrossEntropy(title: string, logits: Logits, labels: readonly number[]): GradientCase {
  return {
    title,
    dtype: 'float32',
    inputs: [logits],
    build: (b, [z]) => [
      b.op('SoftmaxCrossEntropyLoss', [
        z!,
        b.graph.constant(BigInt64Array.from(labels, BigInt), [labels.length], 'int64'),
      ]),
    ],
  };
}

function softCrossEntropy(title: string, logits: Logits, temperature?: number): GradientCase {
  const [rows, classes] = logits.shape as [number, number];
  // Rows of 1, 2, ..., C over their sum.
  const targets = Float64Array.from(
    { length: rows * classes },
    (_, i) => ((i % classes) + 1) / ((classes * (classes + 1)) / 2),
  );
  return {
    title,
    inputs: [logits],
    build: (b, [z]) => [
      b.op(
        'SoftCrossEntropy',
        [z!, b.op('Cast', [b.graph.constant(targets, [rows, classes], 'float64')], { to: z!.dtype })],
        temperature === undefined ? {} : { temperature },
      ),
    ],
  };
}

export const softmax = {
  LogSoftmax: overLastAxis('LogSoftmax'),
  Softmax: overLastAxis('Softmax'),
  SoftmaxCrossEntropy: [
    crossEntropy('4 samples of 3 classes', logitsOf(4, 3), [2, 0, 1, 1]),
    crossEntropy('1 sample', logitsOf(1, 5), [4]),
    crossEntropy('large logits', logitsOf(3, 4, 20), [3, 0, 0]),
    crossEntropy('temperature 0.2', logitsOf(4, 3), [2, 0, 1, 1], 0.2),
    crossEntropy('column 0, temperature 0.5', logitsOf(3, 4), null, 0.5),
  ],
  SoftmaxCrossEntropyLoss: [
    meanCrossEntropy('4 samples of 3 classes', logitsOf(4, 3), [2, 0, 1, 1]),
    meanCrossEntropy('1 sample', logitsOf(1, 5), [4]),
  ],
  SoftmaxCrossEntropyLossGrad: notDifferentiable,
  SoftCrossEntropy: [
    softCrossEntropy('4 samples of 3 classes', logitsOf(4, 3)),
    softCrossEntropy('temperature 5', logitsOf(2, 6), 5),
  ],
} satisfies Record<string, readonly GradientCase[] | typeof notDifferentiable>;
