import type { Diagnostics } from './measured.js';

export type FeatureStatistics = NonNullable<Diagnostics['features']>[string];

/** Below this normalised standard deviation, of 1 for embeddings spread over the sphere, they count as collapsed. */
export const collapseThreshold = 0.1;

/**
 * Alignment, uniformity (Wang and Isola, Understanding contrastive representation learning, 2020) and normalised
 * standard deviation of the embeddings of a batch. `queries` and `positives` are unit rows `[N, D]`, N >= 2, row i of
 * one the positive of row i of the other; alignment is between the two, the rest is of the queries.
 */
export function featureStatistics(
  queries: Float32Array,
  positives: Float32Array,
  dimension: number,
): FeatureStatistics {
  const count = queries.length / dimension;
  let alignment = 0;
  for (let i = 0; i < count; i++) {
    alignment += squaredDistance(queries, i, positives, i, dimension) / count;
  }
  let potential = 0;
  for (let i = 1; i < count; i++) {
    for (let j = 0; j < i; j++)
      potential += Math.exp(-2 * squaredDistance(queries, i, queries, j, dimension));
  }
  const uniformity = Math.log(potential / ((count * (count - 1)) / 2));
  return { alignment, uniformity, std: normalizedStd(queries, count, dimension) };
}

/** Widths whose embeddings collapsed: nearly all images have the same one, whatever the loss says. */
export function collapsed(features: NonNullable<Diagnostics['features']>): string[] {
  return Object.entries(features)
    .filter(([, { std }]) => std < collapseThreshold)
    .map(([label]) => label);
}

/** Standard deviation of a coordinate over the batch, averaged over the coordinates and times sqrt(D). */
function normalizedStd(rows: Float32Array, count: number, dimension: number): number {
  let sum = 0;
  for (let d = 0; d < dimension; d++) {
    let mean = 0;
    for (let i = 0; i < count; i++) mean += rows[i * dimension + d]! / count;
    let variance = 0;
    for (let i = 0; i < count; i++) variance += (rows[i * dimension + d]! - mean) ** 2 / count;
    sum += Math.sqrt(variance);
  }
  return sum / Math.sqrt(dimension);
}

function squaredDistance(a: Float32Array, i: number, b: Float32Array, j: number, dimension: number): number {
  let sum = 0;
  const [from, other] = [i * dimension, j * dimension];
  for (let d = 0; d < dimension; d++) sum += (a[from + d]! - b[other + d]!) ** 2;
  return sum;
}
