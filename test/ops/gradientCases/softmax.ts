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

function crossEntropy(title: string, classes: number, labels: number[], scale = 1): GradientCase {
  return {
    title,
    inputs: [
      {
        shape: [labels.length, classes],
        sample: (random, count) => normal(random, count).map((x) => scale * x),
      },
    ],
    build: (b, [logits]) => [
      b.op('SoftmaxCrossEntropy', [
        logits!,
        b.graph.constant(BigInt64Array.from(labels, BigInt), [labels.length], 'int64'),
      ]),
    ],
  };
}

export const softmax = {
  LogSoftmax: overLastAxis('LogSoftmax'),
  Softmax: overLastAxis('Softmax'),
  SoftmaxCrossEntropy: [
    crossEntropy('4 samples of 3 classes', 3, [2, 0, 1, 1]),
    crossEntropy('1 sample', 5, [4]),
    crossEntropy('large logits', 4, [3, 0, 0], 20),
  ],
} satisfies Record<string, readonly GradientCase[]>;
