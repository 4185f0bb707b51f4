import type { OptimizerOf } from '../config/optimization.js';
import type { Graph, Value } from '../graph/graph.js';
import type { Optimizer } from './optimizer.js';
import { sgdUpdate } from './sgd.js';
import { startUpdate } from './updateGraph.js';

/**
 * Layer-wise adaptive rates for weights; what has one dimension (biases, gammas, betas) moves as in SGD
 * (docs/method.md, recipes).
 */
export function lars({ momentum, trust, clipNorm }: OptimizerOf<'lars'>): Optimizer {
  const clipped = clipNorm > 0;
  return {
    slots: ['velocity'],
    graphs: new Map([
      ['update', sgdUpdate({ momentum, clipped })],
      ['update.tensor', larsUpdate({ momentum, trust, clipped })],
    ]),
    updateOf: (role) => (role === 'weight' ? 'update.tensor' : 'update'),
    scalars: () => ({}),
  };
}

export interface LarsOptions {
  readonly momentum: number;
  readonly trust: number;
  readonly clipped?: boolean;
}

/**
 * LARS (You et al., Large batch training of convolutional networks, 2017, algorithm 1) with its rate outside of the
 * momentum, as MoCo v3 has it: `g' = g + decay p`, `v = momentum v + q g'`, `p = p - rate v`, where q is
 * `trust |p| / |g'|`, or 1 where a norm is 0. The norms are those of the whole tensor.
 */
export function larsUpdate({ momentum, trust, clipped = false }: LarsOptions): Graph {
  const start = startUpdate('update.tensor', ['velocity'], clipped);
  const { graph, b, parameter, gradient, slots, rate, decay } = start;
  // ONNX Runtime adds up in the type that it reads: in float32 the square of a norm of millions is 1e-4 off.
  const norm = (x: Value) => {
    const sum = b.op('ReduceSumSquare', [b.op('Cast', [x], { to: 'float64' })], { keepdims: false });
    return b.op('Cast', [b.op('Sqrt', [sum])], { to: 'float32' });
  };
  const [zero, one] = [b.scalar(0), b.scalar(1)];

  const decayed = b.op('Add', [gradient, b.op('Mul', [parameter, decay])]);
  const [size, change] = [norm(parameter), norm(decayed)];
  const ratio = b.op('Div', [b.op('Mul', [size, b.scalar(trust)]), change]);
  // Not by the product of the norms, which underflows before they do.
  const moving = b.op('Where', [b.op('Greater', [change, zero]), ratio, one]);
  const q = b.op('Where', [b.op('Greater', [size, zero]), moving, one]);
  const moved = b.op('Add', [b.op('Mul', [slots[0]!, b.scalar(momentum)]), b.op('Mul', [decayed, q])]);
  graph.output('new_velocity', moved);
  graph.output('new_parameter', b.op('Sub', [parameter, b.op('Mul', [moved, rate])]));
  return graph;
}
