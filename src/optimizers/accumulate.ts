import { Graph } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';
import { vector } from './updateGraph.js';

/** `sum`, `gradient` `[n]` -> `new_sum`: the gradients of a micro-batch join those of the ones before. */
export function accumulate(): Graph {
  const graph = new Graph('accumulate');
  const b = new Builder(graph);
  const sum = graph.input('sum', vector);
  graph.output('new_sum', b.op('Add', [sum, graph.input('gradient', vector)]));
  return graph;
}
