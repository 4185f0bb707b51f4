import { viewSize, type Config } from '../config/schema.js';
import { Graph } from '../graph/graph.js';
import { Forward } from '../nn/forward.js';
import { Builder } from '../ops/builder.js';
import { encoderBuilder } from '../precision/autocast.js';
import { widthLabel } from '../nn/widthLabel.js';
import { names } from './names.js';
import type { Network } from './network.js';
import type { Program } from './program.js';

/**
 * Embeddings of both views of a micro-batch at one width, as the query program computes them (batch norm in training
 * mode), without gradient and without moving any statistic: images `[2N, 3, S, S]` -> embedding `[2N, D]`.
 */
export function featuresProgram(network: Network, config: Config, width: number): Program {
  const graph = new Graph(`features.${widthLabel(width)}`);
  const b = new Builder(graph);
  const size = viewSize(config);
  const images = graph.input(names.images, {
    dtype: 'float32',
    shape: [2 * config.batchSize, config.data.channels, size, size],
  });
  const f = new Forward(encoderBuilder(b, config.runtime.precision), width, 'train');
  const output = network.head.forward(f.by(b), network.encoder.forward(f, images));
  graph.output(names.embedding, b.op('L2Normalize', [output]));
  return { name: graph.name, kind: 'features', width: widthLabel(width), graph };
}
