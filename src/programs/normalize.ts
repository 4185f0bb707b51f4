import { Graph } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';
import { names } from './names.js';
import type { Program } from './program.js';

/** Rows of length 1: embeddings `[N, D]` -> keys `[N, D]`. */
export function normalizeProgram(batch: number, dimension: number): Program {
  const graph = new Graph('normalize');
  const b = new Builder(graph);
  const embedding = graph.input(names.embedding, { dtype: 'float32', shape: [batch, dimension] });
  graph.output(names.keys, b.op('L2Normalize', [embedding]));
  return { name: 'normalize', kind: 'normalize', graph };
}
