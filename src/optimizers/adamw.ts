import type { OptimizerOf } from '../config/optimization.js';
import type { Graph, Value } from '../graph/graph.js';
import type { Optimizer } from './optimizer.js';
import { scalar, startUpdate } from './updateGraph.js';

const slots = ['first_moment', 'second_moment'];

export function adamw({ beta1, beta2, epsilon, clipNorm }: OptimizerOf<'adamw'>): Optimizer {
  return {
    slots,
    graphs: new Map([['update', adamwUpdate({ beta1, beta2, epsilon, clipped: clipNorm > 0 })]]),
    updateOf: () => 'update',
    scalars: (t) => ({ bias_correction1: 1 - beta1 ** t, bias_correction2: 1 - beta2 ** t }),
  };
}

export interface AdamwOptions {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly clipped?: boolean;
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter, 2019, algorithm 2), in PyTorch's order: p first decays,
 * `p = p - rate decay p`; then `m = beta1 m + (1 - beta1) g`, `v = beta2 v + (1 - beta2) g^2`, and
 * `p = p - rate / c1 * m / (sqrt(v) / sqrt(c2) + epsilon)` with the bias corrections c = 1 - beta^t.
 */
export function adamwUpdate({ beta1, beta2, epsilon, clipped = false }: AdamwOptions): Graph {
  const { graph, b, parameter, gradient, slots: held, rate, decay } = startUpdate('update', slots, clipped);
  const [first, second] = held as [Value, Value];
  const correction1 = graph.input('bias_correction1', scalar);
  const correction2 = graph.input('bias_correction2', scalar);
  /** beta x + (1 - beta) y */
  const average = (beta: number, x: Value, y: Value) =>
    b.op('Add', [b.op('Mul', [x, b.scalar(beta)]), b.op('Mul', [y, b.scalar(1 - beta)])]);

  const decayed = b.op('Sub', [parameter, b.op('Mul', [parameter, b.op('Mul', [rate, decay])])]);
  const m = average(beta1, first, gradient);
  const v = average(beta2, second, b.op('Mul', [gradient, gradient]));
  const root = b.op('Div', [b.op('Sqrt', [v]), b.op('Sqrt', [correction2])]);
  const direction = b.op('Div', [m, b.op('Add', [root, b.scalar(epsilon)])]);
  const step = b.op('Mul', [direction, b.op('Div', [rate, correction1])]);
  graph.output('new_first_moment', m);
  graph.output('new_second_moment', v);
  graph.output('new_parameter', b.op('Sub', [decayed, step]));
  return graph;
}
