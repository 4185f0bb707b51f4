import type { Config } from '../config/schema.js';
import type { Graph } from '../graph/graph.js';
import { elementCount } from '../onnx/model.js';
import { Builder } from '../ops/builder.js';
import { embedProgram, type EmbedOptions } from '../programs/embed.js';
import type { Network } from '../programs/network.js';

/** Names of the classifier's tensors in an exported model. */
export const classifierTensors = { weight: 'classifier.weight', bias: 'classifier.bias' } as const;

/**
 * The graph of an exported model before its weights are bound: `images` `[batch, 3, S, S]` -> `features`
 * `[batch, C_w]`, maps `[batch, C, H, W]` by the names of their stages, with the head `embedding` `[batch, D]`, and with
 * a classifier of so many classes `logits` `[batch, classes]`.
 */
export function inferenceGraph(
  network: Network,
  config: Pick<Config, 'data'>,
  width: number,
  { classes = 0, ...outputs }: EmbedOptions & { readonly classes?: number } = {},
): Graph {
  const { graph } = embedProgram(network, config, width, outputs);
  if (classes === 0) return graph;
  const features = graph.outputs.get('features')!;
  const weightInput = (name: string, ...shape: number[]) =>
    graph.input(name, { dtype: 'float32', shape }, { kind: 'weights', tensor: name });
  const weight = weightInput(classifierTensors.weight, classes, features.shape[1] as number);
  const bias = weightInput(classifierTensors.bias, classes);
  const b = new Builder(graph);
  const logits = b.scope('classifier', () => b.op('Gemm', [features, weight, bias], { transB: true }));
  graph.output('logits', logits);
  return graph;
}

/**
 * Trained elements that an inference graph of a width reads, as papers count them: batch norm's gamma and beta
 * are, its running statistics are not.
 */
export function countParameters({ declarations }: Network, graph: Graph, width: number): number {
  const parameters = new Map(declarations.parameters.map((parameter) => [parameter.name, parameter]));
  const statistics = new Set(declarations.statistics.map(({ name }) => name));
  let total = 0;
  for (const { name, dims } of graph.defaults.keys()) {
    if (!statistics.has(name)) total += elementCount(parameters.get(name)?.slice(width)?.shape ?? dims);
  }
  return total;
}
