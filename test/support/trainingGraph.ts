import { gradients } from '../../src/autodiff.js';
import { Graph, type Value } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { Random } from '../../src/random.js';
import type { Tensors } from './runGraph.js';
import { normal } from './samples.js';

/**
 * A small contrastive training step with most operators in it: an encoder with a strided stem, pooling, a
 * residual and a grouped convolution, a linear head, InfoNCE over a queue, ReduceMax and Clip in a regulariser,
 * the batch's statistics, and the gradient of every parameter. Inputs are deterministic.
 */
export function trainingGraph(): { graph: Graph; feeds: Tensors } {
  const graph = new Graph('training');
  const b = new Builder(graph);
  const random = new Random(5);
  const feeds: Record<string, number[]> = {};
  const parameters: Value[] = [];
  const input = (name: string, ...shape: number[]): Value => {
    feeds[name] = normal(
      random,
      shape.reduce((n, d) => n * d, 1),
    ).map(Math.fround);
    return graph.input(name, { dtype: 'float32', shape });
  };
  const parameter = (name: string, ...shape: number[]): Value => {
    const value = input(name, ...shape);
    parameters.push(value);
    return value;
  };
  const unit = (name: string, x: Value, kernel: number, channels: number, stride: number, group = 1) =>
    b.scope(name, () => {
      const w = parameter(`${name}.weight`, channels, x.dims[1]! / group, kernel, kernel);
      const pad = (kernel - 1) / 2;
      const attributes = { strides: [stride, stride], pads: [pad, pad, pad, pad], group } as const;
      const vectors = [parameter(`${name}.gamma`, channels), parameter(`${name}.beta`, channels)];
      const [y, mean, variance] = b.node('BatchNormTrain', [b.op('Conv', [x, w], attributes), ...vectors], {
        epsilon: 1e-5,
      });
      graph.output(`${name}.mean`, mean!);
      graph.output(`${name}.variance`, variance!);
      return y!;
    });

  const images = input('images', 4, 3, 14, 14); // [N, 3, 14, 14]
  const stem = b.op('Relu', [unit('stem', images, 7, 8, 2)]); // [N, 8, 7, 7]
  const pooled = b.op('MaxPool', [stem], { kernelShape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] });
  const inner = b.op('Relu', [unit('grouped', pooled, 3, 8, 1, 2)]); // [N, 8, 4, 4]
  const block = b.op('Relu', [b.op('Add', [unit('project', inner, 1, 8, 1), pooled])]);
  const features = b.op('Flatten', [b.op('GlobalAveragePool', [block])]); // [N, 8]
  const head = [parameter('head.weight', 6, 8), parameter('head.bias', 6)];
  const query = b.op('L2Normalize', [b.op('Gemm', [features, ...head], { transB: true })]); // [N, 6]
  const keys = b.op('L2Normalize', [input('keys', 4, 6)]);
  const queue = input('queue', 10, 6);
  const positive = b.op('ReduceSum', [b.op('Mul', [query, keys])], { axes: [1] }); // [N, 1]
  const negative = b.op('Gemm', [query, queue], { transB: true }); // [N, 10]
  const logits = b.op('Div', [b.op('Concat', [positive, negative], { axis: 1 }), b.scalar(0.2)]);
  const target = graph.constant(new BigInt64Array(4), [4], 'int64');
  const losses = b.op('SoftmaxCrossEntropy', [logits, target]);
  const peaks = b.op('ReduceMax', [b.op('Sigmoid', [logits])], { axes: [1], keepdims: false });
  const spread = b.op('ReduceSumSquare', [peaks], { axes: [0], keepdims: false });
  const loss = b.op('Add', [
    b.op('ReduceMean', [losses], { axes: [0], keepdims: false }),
    b.op('Mul', [spread, b.scalar(0.1)]),
  ]);
  graph.output('loss', loss);
  graph.output('clipped', b.op('Clip', [logits], { min: -5, max: 5 }));
  for (const [i, gradient] of gradients(b, loss, parameters).entries()) {
    graph.output(`grad.${parameters[i]!.name}`, gradient);
  }
  return { graph, feeds };
}
