import type { OptimizerOf } from '../config/optimization.js';
import type { Graph } from '../graph/graph.js';
import type { Optimizer } from './optimizer.js';
import { startUpdate } from './updateGraph.js';

export function sgd({ momentum, nesterov, clipNorm }: OptimizerOf<'sgd'>): Optimizer {
  return {
    slots: ['velocity'],
    graphs: new Map([['update', sgdUpdate({ momentum, nesterov, clipped: clipNorm > 0 })]]),
    updateOf: () => 'update',
    scalars: () => ({}),
  };
}

export interface SgdOptions {
  readonly momentum: number;
  readonly nesterov?: boolean;
  readonly clipped?: boolean;
}

/**
 * Stochastic gradient descent with momentum and weight decay, PyTorch's rule without dampening:
 * `v = momentum v + (g + decay p)`, `p = p - rate v`; Nesterov's moves by `(g + decay p) + momentum v` instead of v.
 *
 * The length is symbolic: the runtime runs it over pieces of an arena that fit the cache.
 */
export function sgdUpdate({ momentum, nesterov = false, clipped = false }: SgdOptions): Graph {
  const { graph, b, parameter, gradient, slots, rate, decay } = startUpdate('update', ['velocity'], clipped);
  const [velocity] = slots;

  const decayed = b.op('Add', [gradient, b.op('Mul', [parameter, decay])]);
  const moved = b.op('Add', [b.op('Mul', [velocity!, b.scalar(momentum)]), decayed]);
  const step = nesterov ? b.op('Add', [decayed, b.op('Mul', [moved, b.scalar(momentum)])]) : moved;
  graph.output('new_velocity', moved);
  graph.output('new_parameter', b.op('Sub', [parameter, b.op('Mul', [step, rate])]));
  return graph;
}
