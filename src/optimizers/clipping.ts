import { Graph } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';
import { vector } from './updateGraph.js';

/** `gradient` `[n]` -> `sum_of_squares`, a scalar: what a piece adds to the square of the global norm. */
export function gradientNorm(): Graph {
  const graph = new Graph('norm');
  const b = new Builder(graph);
  const gradient = graph.input('gradient', vector);
  graph.output('sum_of_squares', b.op('ReduceSumSquare', [gradient], { keepdims: false }));
  return graph;
}

/**
 * What all gradients are multiplied by so that their L2 norm together is `clipNorm` at most, PyTorch's
 * `clip_grad_norm_`. `sumOfSquares` is over all of them.
 */
export function clipScale(sumOfSquares: number, clipNorm: number): number {
  return Math.min(1, clipNorm / (Math.sqrt(sumOfSquares) + 1e-6));
}
