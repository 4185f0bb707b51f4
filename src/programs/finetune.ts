import { gradients } from '../autodiff.js';
import type { Config } from '../config/schema.js';
import { Graph, type Value } from '../graph/graph.js';
import { crossEntropy } from '../losses/crossEntropy.js';
import { Forward, type Mode } from '../nn/forward.js';
import { Builder } from '../ops/builder.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { Network } from './network.js';
import { outputStatistics, type Program } from './program.js';

/** Inputs of the classifier on the encoder. */
export const classifierInputs = { weight: 'classifier.weight', bias: 'classifier.bias' } as const;

/**
 * Forward and backward of the encoder at one width with a linear classifier, batch norm in training mode unless told: images
 * `[N, 3, S, S]`, labels int64 `[N]`, classifier.weight `[classes, C_w]`, classifier.bias `[classes]` -> loss (cross
 * entropy), logits `[N, classes]`, in training mode new statistics, and the gradient of each parameter's block. S is the
 * size in evaluation.
 */
export function finetuneProgram(
  network: Network,
  { batchSize, data }: Pick<Config, 'batchSize' | 'data'>,
  width: number,
  classes: number,
  mode: Mode = 'train',
): Program {
  const graph = new Graph(`finetune.${widthLabel(width)}`);
  const b = new Builder(graph);
  const float = (...shape: number[]) => ({ dtype: 'float32', shape }) as const;
  const images = graph.input('images', float(batchSize, data.channels, data.imageSize, data.imageSize));
  const labels = graph.input('labels', { dtype: 'int64', shape: [batchSize] });
  const f = new Forward(b, width, mode);
  const features = network.encoder.forward(f, images);
  const weight = graph.input(classifierInputs.weight, float(classes, features.dims[1]!));
  const bias = graph.input(classifierInputs.bias, float(classes));
  const logits = b.op('Gemm', [features, weight, bias], { transB: true });
  const loss = crossEntropy(b, logits, labels);
  graph.output('loss', loss);
  graph.output('logits', logits);

  const outputsOf = new Map(mode === 'train' ? outputStatistics(b, f, 'float32') : []);
  const trained: (readonly [string, Value])[] = [
    ...Array.from(f.parameters, ([{ name }, block]) => [name, block] as const),
    [classifierInputs.weight, weight],
    [classifierInputs.bias, bias],
  ];
  const blocks = trained.map(([, value]) => value);
  for (const [i, gradient] of gradients(b, loss, blocks).entries()) {
    const [name] = trained[i]!;
    graph.output(`grad.${name}`, gradient);
    outputsOf.set(`grad.${name}`, name);
  }
  return { name: graph.name, kind: 'finetune', width: widthLabel(width), graph, outputsOf };
}
