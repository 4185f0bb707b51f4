import { Graph } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { loadGraph } from '../support/runGraph.js';

/* Of ortLibrary.test.ts, a process or a thread: loads a graph, and waits until what it started has settled. */

const graph = new Graph('telemetry');
const b = new Builder(graph);
graph.output('y', b.op('Abs', [graph.input('x', { dtype: 'float32', shape: [2] })]));
await loadGraph(graph);
await new Promise((resolve) => setTimeout(resolve, 500));
