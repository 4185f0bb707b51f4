import { Graph } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';

/**
 * Stochastic gradient descent with momentum and weight decay, PyTorch's rule without dampening:
 * `v = momentum v + (g + decay p)`, `p = p - rate v`.
 *
 * The length is symbolic: the runtime runs it over pieces of an arena that fit the cache.
 */
export function sgd(momentum: number): Graph {
  const graph = new Graph('update');
  const b = new Builder(graph);
  const vector = { dtype: 'float32', shape: ['n'] } as const;
  const scalar = { dtype: 'float32', shape: [] } as const;
  const parameter = graph.input('parameter', vector);
  const gradient = graph.input('gradient', vector);
  const velocity = graph.input('velocity', vector);
  const rate = graph.input('learning_rate', scalar);
  const decay = graph.input('weight_decay', scalar);

  const decayed = b.op('Add', [gradient, b.op('Mul', [parameter, decay])]);
  const moved = b.op('Add', [b.op('Mul', [velocity, b.scalar(momentum)]), decayed]);
  graph.output('new_velocity', moved);
  graph.output('new_parameter', b.op('Sub', [parameter, b.op('Mul', [moved, rate])]));
  return graph;
}
