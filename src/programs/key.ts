import { viewSize, type Config } from '../config/schema.js';
import { Graph } from '../graph/graph.js';
import { Forward } from '../nn/forward.js';
import { Builder } from '../ops/builder.js';
import { encoderBuilder } from '../precision/autocast.js';
import { widthLabel } from '../nn/widthLabel.js';
import { names } from './names.js';
import type { Network } from './network.js';
import { outputStatistics, type Program } from './program.js';

/** Names of the key network's parameters and statistics are the query's with this prefix. */
export const keyPrefix = 'key.';

/**
 * Key features: the momentum encoder at full width on the second view, batch norm in training mode, no
 * gradient (docs/method.md, one training step, 2).
 */
export function keyProgram(network: Network, config: Config): Program {
  const {
    batchSize,
    widths,
    runtime: { precision },
  } = config;
  const graph = new Graph('key');
  const b = new Builder(graph);
  const images = graph.input(names.images, {
    dtype: 'float32',
    shape: [batchSize, config.data.channels, viewSize(config), viewSize(config)],
  });
  const f = new Forward(encoderBuilder(b, precision), widths[0]!, 'train', keyPrefix);
  const embedding = network.keyHead.forward(f.by(b), network.encoder.forward(f, images));
  graph.output(names.keys, b.op('L2Normalize', [embedding]));
  const outputsOf = new Map(outputStatistics(b, f, precision, keyPrefix));
  return { name: 'key', kind: 'key', width: widthLabel(widths[0]!), graph, outputsOf };
}

/**
 * The momentum update `key = m key + (1 - m) query` over a piece of the parameter arena (symbolic length).
 * The momentum is float64, so that 1 - m keeps its digits.
 */
export function momentumProgram(): Program {
  const graph = new Graph('momentum');
  const b = new Builder(graph);
  const vector = { dtype: 'float32', shape: ['n'] } as const;
  const query = graph.input('query', vector);
  const key = graph.input('key', vector);
  const momentum = graph.input('momentum', { dtype: 'float64', shape: [] });
  const kept = b.op('Cast', [momentum], { to: 'float32' });
  const moved = b.op('Cast', [b.op('Sub', [b.scalar(1, 'float64'), momentum])], { to: 'float32' });
  graph.output('new_key', b.op('Add', [b.op('Mul', [key, kept]), b.op('Mul', [query, moved])]));
  return { name: 'momentum', kind: 'momentum', graph };
}
