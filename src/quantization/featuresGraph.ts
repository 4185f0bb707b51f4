import type { Graph } from '../graph/graph.js';
import { rewrite } from '../graph/rewrite.js';

/** An inference graph whose only output is `features`, with the weights that these need. */
export function featuresGraph(original: Graph): Graph {
  const copy = (graph: Graph) => rewrite(graph, { replace: () => null });
  const graph = copy(original);
  const features = graph.outputs.get('features')!;
  graph.outputs.clear();
  graph.output('features', features);
  graph.prune();
  // A copy has the weights that something reads.
  return copy(graph);
}
