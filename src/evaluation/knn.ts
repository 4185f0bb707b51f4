import { UsageError } from '../errors.js';
import { floats, type EngineSource } from '../engines/hostGraph.js';
import { Graph } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';
import { AccuracyCounter } from './accuracy.js';
import type { Features } from './features.js';
import { requireFiniteRows } from './finite.js';
import type { KnnSettings } from './knnSettings.js';
import { openGraph } from './openGraph.js';
import type { Accuracy } from './results.js';

export interface LabelledFeatures extends Features {
  /** Class index of each image, [n]. */
  readonly labels: Int32Array;
}

/** Test images whose similarities are in memory at the same time. */
const blockRows = 256;

/**
 * Weighted k-nearest-neighbour classification (Wu et al., Unsupervised feature learning via non-parametric
 * instance discrimination, CVPR 2018, section 3.4): the k training images of highest cosine similarity s vote
 * for their classes with weight exp(s / T). Equally similar images are taken in their order. Throws a SlimclrError for
 * features that are not finite. Aborting `signal` ends it with its reason.
 */
export async function knnAccuracy(
  train: LabelledFeatures,
  test: LabelledFeatures,
  classes: number,
  { k, temperature }: KnnSettings,
  runtime: EngineSource,
  signal?: AbortSignal,
): Promise<Accuracy> {
  if (!Number.isInteger(k) || k < 1) throw new UsageError(`k is ${k}; accepted: an integer >= 1`);
  if (!(temperature > 0)) throw new UsageError(`temperature is ${temperature}; accepted: a number > 0`);
  const neighbours = Math.min(k, train.count);
  const { channels } = train;
  const queries = normalizedRows(test);
  const bank = normalizedRows(train);
  const graph = await openGraph(neighboursGraph(channels, train.count, neighbours), runtime);
  const counter = new AccuracyCounter('votes', test.origin);
  const votes = new Float64Array(classes);
  try {
    await graph.hold({ bank: floats(bank, [train.count, channels]) });
    for (let start = 0; start < test.count; start += blockRows) {
      signal?.throwIfAborted();
      const rows = Math.min(blockRows, test.count - start);
      const block = queries.subarray(start * channels, (start + rows) * channels);
      const outputs = await graph.run({ queries: floats(block, [rows, channels]) });
      const similarity = outputs['similarity']!.data as Float32Array;
      const index = outputs['index']!.data as BigInt64Array;
      for (let row = 0; row < rows; row++) {
        votes.fill(0);
        // The nearest comes first. What is common to all weights changes no order, and exp(s / T) may be infinite.
        const nearest = similarity[row * neighbours]!;
        for (let i = row * neighbours; i < (row + 1) * neighbours; i++) {
          votes[train.labels[Number(index[i])]!]! += Math.exp((similarity[i]! - nearest) / temperature);
        }
        counter.add(votes, test.labels[start + row]!);
      }
    }
  } finally {
    await graph.close();
  }
  return counter.accuracy;
}

/** queries `[batch, C]`, bank `[N, C]` -> the k largest products of each query, `similarity` and `index` `[batch, k]`. */
function neighboursGraph(channels: number, bankSize: number, k: number): Graph {
  const graph = new Graph('neighbours');
  const b = new Builder(graph);
  const queries = graph.input('queries', { dtype: 'float32', shape: ['batch', channels] });
  const bank = graph.input('bank', { dtype: 'float32', shape: [bankSize, channels] });
  const similarities = b.op('Gemm', [queries, bank], { transB: true });
  // ONNX TopK gives the element of lower index first among equal ones. Nothing differentiates it, so it is no
  // entry of the operator table.
  const count = graph.constant(BigInt64Array.of(BigInt(k)), [1], 'int64');
  const shape = ['batch', k];
  const [similarity, index] = graph.add(
    'TopK',
    '',
    [similarities, count],
    [
      { dtype: 'float32', shape },
      { dtype: 'int64', shape },
    ],
  ).outputs;
  graph.output('similarity', similarity!);
  graph.output('index', index!);
  return graph;
}

/** Rows divided by their Euclidean norm; a row of zeros stays. */
function normalizedRows({ count, channels, data, origin }: Features): Float32Array {
  requireFiniteRows(data, channels, 'features', origin);
  const rows = new Float32Array(data.length);
  for (let row = 0; row < count; row++) {
    const start = row * channels;
    let squares = 0;
    for (let i = start; i < start + channels; i++) squares += data[i]! ** 2;
    const scale = squares === 0 ? 0 : 1 / Math.sqrt(squares);
    for (let i = start; i < start + channels; i++) rows[i] = data[i]! * scale;
  }
  return rows;
}
