import { readFileSync } from 'node:fs';
import { floats, type HostGraph } from '../../src/engines/hostGraph.js';
import { openGraph } from '../../src/evaluation/openGraph.js';
import { Graph } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';

/*
 * The child process of memoryEnvironment.test.ts: runs three graphs in turns, each of which needs at least 64 MiB while
 * it runs, and sends the largest memory that the process ever had, in MiB.
 */

const elements = 2 ** 24;

/** Mean of |shift| repeated, by way of tensors of 64 MiB. */
function openMean(name: string): Promise<HostGraph> {
  const graph = new Graph(name);
  const b = new Builder(graph);
  const shift = graph.input('shift', { dtype: 'float32', shape: [] });
  const long = b.op('Expand', [shift], { shape: [elements] });
  graph.output('mean', b.op('ReduceMean', [b.op('Abs', [long])], { keepdims: false }));
  return openGraph(graph, { provider: 'cpu', threads: 1 });
}

const graphs = await Promise.all(['a', 'b', 'c'].map(openMean));
for (let step = 0; step < 3; step++) {
  for (const graph of graphs) await graph.run({ shift: floats(Float32Array.of(step), []) });
}
const peak = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
process.send!(Number(peak[1]) / 1024);
