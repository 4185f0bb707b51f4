import type { Config } from '../config/schema.js';
import { Graph } from '../graph/graph.js';
import { Forward } from '../nn/forward.js';
import { Builder } from '../ops/builder.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { Network } from './network.js';
import type { Program } from './program.js';

/**
 * Features of the frozen encoder at one width, batch norm in eval mode, any batch size; `withHead` also the embedding
 * that the head makes of them, not normalised.
 */
export function embedProgram(
  network: Network,
  { data }: Pick<Config, 'data'>,
  width: number,
  withHead = false,
): Program {
  const graph = new Graph(`embed.${widthLabel(width)}`);
  const b = new Builder(graph);
  const images = graph.input('images', {
    dtype: 'float32',
    shape: ['batch', 3, data.imageSize, data.imageSize],
  });
  const f = new Forward(b, width, 'eval');
  const features = network.encoder.forward(f, images);
  graph.output('features', features);
  if (withHead) graph.output('embedding', network.keyHead.forward(f, features));
  return { name: graph.name, kind: 'embed', width: widthLabel(width), graph };
}

/**
 * Statistics of one batch in every batch norm of a width (mean, unbiased variance): averaged over batches they
 * calibrate an encoder whose running statistics are missing or stale (universally slimmable networks, Yu and
 * Huang, 2019, post-statistics).
 */
export function calibrateProgram(network: Network, { batchSize, data }: Config, width: number): Program {
  const graph = new Graph(`calibrate.${widthLabel(width)}`);
  const b = new Builder(graph);
  const images = graph.input('images', {
    dtype: 'float32',
    shape: [batchSize, 3, data.imageSize, data.imageSize],
  });
  const f = new Forward(b, width, 'train');
  network.encoder.forward(f, images);
  const outputsOf = new Map<string, string>();
  for (const [statistic, { value, factor }] of f.batch) {
    graph.output(`batch.${statistic.name}`, factor === 1 ? value : b.op('Mul', [value, b.scalar(factor)]));
    outputsOf.set(`batch.${statistic.name}`, statistic.name);
  }
  return { name: graph.name, kind: 'calibrate', width: widthLabel(width), graph, outputsOf };
}
