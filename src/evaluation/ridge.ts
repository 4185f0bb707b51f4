import { UsageError } from '../errors.js';
import { floats, type EngineSource } from '../engines/hostGraph.js';
import { Graph } from '../graph/graph.js';
import { Builder } from '../ops/builder.js';
import type { TensorData } from '../onnx/safetensors.js';
import { Random } from '../random.js';
import { AccuracyCounter } from './accuracy.js';
import { cholesky, choleskySolve } from './cholesky.js';
import type { Features } from './features.js';
import { classify, type LinearClassifier } from './linearClassifier.js';
import type { LabelledFeatures } from './knn.js';
import { openGraph } from './openGraph.js';
import { gatherRows } from './probeBatches.js';
import { standardization, standardize, withoutStandardization } from './standardize.js';

export interface RidgeSettings {
  /** Of the choice of the held-out images. */
  readonly seed: number;
  /** Regularisations to choose from, the strongest first. */
  readonly lambdas: readonly number[];
}

/** Of features whose variances add up to 1 (standardize.ts). */
export const ridgeLambdas: readonly number[] = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7];

export interface RidgeClassifier {
  readonly classifier: LinearClassifier;
  readonly lambda: number;
}

/** First word of the random stream that chooses the held-out images. */
const heldOutStream = 0x72696467;

/**
 * Least squares of one-hot labels on standardised features X `[n, C]` with a bias, which is not regularised:
 * `W = (X^T X + lambda n I)^-1 X^T Y`, X and Y centred. Lambda is the one with the best top-1 accuracy on a tenth of
 * the images, held out; the classifier is then of all images, and takes raw features.
 * Throws a UsageError for fewer than two images, a SlimclrError for features that are not finite.
 */
export async function solveRidge(
  raw: LabelledFeatures,
  classes: number,
  { seed, lambdas }: RidgeSettings,
  runtime: EngineSource,
): Promise<RidgeClassifier> {
  const { count, labels } = raw;
  if (count < 2) throw new UsageError(`ridge: ${count} training image; accepted: at least 2`);
  const map = standardization(raw);
  const features = standardize(raw, map);
  const order = new Random(heldOutStream, seed).permutation(count);
  const heldOut = order.subarray(0, Math.ceil(count / 10));
  const others = await moments(features, labels, classes, order.subarray(heldOut.length), runtime);
  let best = { lambda: lambdas[0]!, top1: -1 };
  if (lambdas.length > 1) {
    const tested = rows(features, heldOut);
    for (const lambda of lambdas) {
      const counter = new AccuracyCounter('logits', raw.origin);
      await classify(solve(others, lambda), tested, runtime, (scores, i) =>
        counter.add(scores, labels[heldOut[i]!]!, heldOut[i]),
      );
      const { top1 } = counter.accuracy;
      if (top1 > best.top1) best = { lambda, top1 };
    }
  }
  const all = sum(others, await moments(features, labels, classes, heldOut, runtime));
  return { classifier: withoutStandardization(solve(all, best.lambda), map), lambda: best.lambda };
}

/** What least squares needs to know of images, in sums over them. */
interface Moments {
  readonly count: number;
  readonly channels: number;
  readonly classes: number;
  /** X^T X, [C, C] */
  readonly gram: Float64Array;
  /** Y^T X, [classes, C] */
  readonly cross: Float64Array;
  /** Sum of the features, [C]. */
  readonly total: Float64Array;
  /** Images of each class. */
  readonly perClass: Float64Array;
}

/** Images whose products are summed in one run. */
const blockRows = 2048;

async function moments(
  features: Features,
  labels: Int32Array,
  classes: number,
  indices: Uint32Array,
  runtime: EngineSource,
): Promise<Moments> {
  const { channels } = features;
  const cross = new Float64Array(classes * channels);
  const total = new Float64Array(channels);
  const perClass = new Float64Array(classes);
  let gram: TensorData = {
    dtype: 'float64',
    shape: [channels, channels],
    data: new Float64Array(channels * channels),
  };
  const products = await openGraph(gramGraph(channels), runtime);
  try {
    for (let start = 0; start < indices.length; start += blockRows) {
      const chosen = indices.subarray(start, start + blockRows);
      const block = rows(features, chosen);
      const outputs = await products.run({ rows: floats(block.data, [block.count, channels]), gram });
      gram = outputs['new_gram']!;
      for (const [row, index] of chosen.entries()) {
        const label = labels[index]!;
        perClass[label]!++;
        for (let c = 0; c < channels; c++) {
          const value = block.data[row * channels + c]!;
          total[c]! += value;
          cross[label * channels + c]! += value;
        }
      }
    }
  } finally {
    await products.close();
  }
  const { length: count } = indices;
  return { count, channels, classes, gram: gram.data as Float64Array, cross, total, perClass };
}

/** rows `[batch, C]`, gram float64 `[C, C]` -> new_gram: gram + rows^T rows, in float64. */
function gramGraph(channels: number): Graph {
  const graph = new Graph('gram');
  const b = new Builder(graph);
  const input = graph.input('rows', { dtype: 'float32', shape: ['batch', channels] });
  const gram = graph.input('gram', { dtype: 'float64', shape: [channels, channels] });
  const x = b.op('Cast', [input], { to: 'float64' });
  graph.output('new_gram', b.op('Gemm', [x, x, gram], { transA: true }));
  return graph;
}

/** The moments of both sets of images together. */
function sum(a: Moments, b: Moments): Moments {
  const added = (x: Float64Array, y: Float64Array) => x.map((value, i) => value + y[i]!);
  return {
    ...a,
    count: a.count + b.count,
    gram: added(a.gram, b.gram),
    cross: added(a.cross, b.cross),
    total: added(a.total, b.total),
    perClass: added(a.perClass, b.perClass),
  };
}

function solve({ count, channels, classes, gram, cross, total, perClass }: Moments, lambda: number) {
  const mean = total.map((value) => value / count);
  // Divided by n: (X^T X / n + lambda I) W = X^T Y / n of centred X and Y.
  const matrix = gram.map(
    (value, i) => value / count - mean[Math.floor(i / channels)]! * mean[i % channels]!,
  );
  for (let c = 0; c < channels; c++) matrix[c * channels + c]! += lambda;
  const share = perClass.map((images) => images / count);
  const weight = cross.map(
    (value, i) => value / count - share[Math.floor(i / channels)]! * mean[i % channels]!,
  );
  cholesky(matrix, channels);
  choleskySolve(matrix, channels, weight);
  const bias = share.map((value, row) => {
    let shift = 0;
    for (let c = 0; c < channels; c++) shift += weight[row * channels + c]! * mean[c]!;
    return value - shift;
  });
  return { classes, channels, weight: Float32Array.from(weight), bias: Float32Array.from(bias) };
}

function rows(features: Features, indices: Uint32Array): Features {
  const { channels } = features;
  const data = new Float32Array(indices.length * channels);
  gatherRows(features, indices, data);
  return { count: indices.length, channels, data };
}
