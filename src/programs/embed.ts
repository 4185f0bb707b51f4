import type { Config } from '../config/schema.js';
import { Graph, type Value } from '../graph/graph.js';
import { Forward } from '../nn/forward.js';
import { Builder } from '../ops/builder.js';
import { widthLabel } from '../nn/widthLabel.js';
import type { Network } from './network.js';
import type { Program } from './program.js';

/** What an embed program gives beside `features`, and how many images it takes. */
export interface EmbedOptions {
  /** `embedding`: what the head makes of the features, not normalised. */
  readonly head?: boolean;
  /** Stages of the encoder whose maps are outputs, by their names. */
  readonly maps?: readonly string[];
  /** null, the default: any number. */
  readonly batch?: number | null;
}

/** Features of the frozen encoder at one width, batch norm in eval mode. */
export function embedProgram(
  network: Network,
  { data }: Pick<Config, 'data'>,
  width: number,
  { head = false, maps = [], batch = null }: EmbedOptions = {},
): Program {
  const graph = new Graph(`embed.${widthLabel(width)}`);
  const b = new Builder(graph);
  const images = graph.input('images', {
    dtype: 'float32',
    shape: [batch ?? 'batch', data.channels, data.imageSize, data.imageSize],
  });
  const f = new Forward(b, width, 'eval');
  const stages = new Map<string, Value>();
  const features = network.encoder.forward(f, images, (stage, map) => stages.set(stage, map));
  graph.output('features', features);
  for (const stage of maps) graph.output(stage, stages.get(stage)!);
  if (head) graph.output('embedding', network.keyHead.forward(f, features));
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
    shape: [batchSize, data.channels, data.imageSize, data.imageSize],
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
