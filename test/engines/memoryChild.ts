import { readFileSync } from 'node:fs';
import { Graph } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { loadGraph, type LoadedGraph } from '../support/runGraph.js';

/*
 * The child process of memoryEnvironment.test.ts: runs three sessions in turns, each of which needs at least 64 MiB while
 * it runs, and sends the largest memory that the process ever had, in MiB.
 */

const elements = 2 ** 24;

/** Mean of |shift| repeated, by way of tensors of 64 MiB. */
function openMean(name: string): Promise<LoadedGraph> {
  const graph = new Graph(name);
  const b = new Builder(graph);
  const shift = graph.input('shift', { dtype: 'float32', shape: [] });
  const long = b.op('Expand', [shift], { shape: [elements] });
  graph.output('mean', b.op('ReduceMean', [b.op('Abs', [long])], { keepdims: false }));
  return loadGraph(graph);
}

const sessions = await Promise.all(['a', 'b', 'c'].map(openMean));
for (let step = 0; step < 3; step++) {
  for (const session of sessions) await session.run({ shift: [step] });
}
const peak = /^VmHWM:\s*(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))!;
process.send!(Number(peak[1]) / 1024);
