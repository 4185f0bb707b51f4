import { HostGraph, type EngineSource } from '../engines/hostGraph.js';
import type { Graph } from '../graph/graph.js';
import type { TensorData } from '../onnx/safetensors.js';
import { emitFrozen } from '../programs/emitFrozen.js';
import { portable } from '../targets/portable.js';
import { featuresGraph } from './featuresGraph.js';

/** Features of batches of images. */
export interface FeatureRows {
  readonly channels: number;
  readonly batches: readonly Float32Array[];
}

/** Features of batches of images `[n, 3, S, S]`. */
export async function featuresOf(
  graph: Graph,
  batches: readonly TensorData[],
  on: EngineSource,
): Promise<FeatureRows> {
  const model = await HostGraph.open(emitFrozen(featuresGraph(graph), portable), on);
  try {
    const rows: Float32Array[] = [];
    let channels = 0;
    for (const images of batches) {
      const { data, shape } = (await model.run({ images }))['features']!;
      rows.push(data as Float32Array);
      channels = shape[1]!;
    }
    return { channels, batches: rows };
  } finally {
    await model.close();
  }
}

/** Mean cosine of the features of each image under one graph and under another. */
export function agreement(a: FeatureRows, b: FeatureRows): number {
  let [sum, count] = [0, 0];
  for (const [i, rows] of a.batches.entries()) {
    sum += rows.length * meanCosine(rows, b.batches[i]!, a.channels);
    count += rows.length;
  }
  return sum / count;
}

/** Mean cosine of the rows, of so many channels, of two matrices; two rows of zeros agree. */
export function meanCosine(a: Float32Array, b: Float32Array, channels: number): number {
  const rows = a.length / channels;
  let total = 0;
  for (let row = 0; row < rows; row++) {
    let [ab, aa, bb] = [0, 0, 0];
    for (let i = row * channels; i < (row + 1) * channels; i++) {
      ab += a[i]! * b[i]!;
      aa += a[i]! ** 2;
      bb += b[i]! ** 2;
    }
    total += aa === 0 && bb === 0 ? 1 : ab / (Math.sqrt(aa * bb) || 1);
  }
  return total / rows;
}
