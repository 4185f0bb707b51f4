import type { Value } from '../graph/graph.js';
import type { Builder } from '../ops/builder.js';

/**
 * Similarities that the contrastive losses see: inner products of L2-normalised embeddings before the temperature,
 * `[R, 1 + K]`, the positive of each row in column 0 and its K negatives behind it.
 */

/** MoCo v2: a key of its own and the queue. query, keys `[N, D]`, queue `[K, D]` -> `[N, 1 + K]`. */
export function queueSimilarities(b: Builder, query: Value, keys: Value, queue: Value): Value {
  return b.op('Concat', [rowProducts(b, query, keys), products(b, query, queue)], { axis: 1 });
}

/**
 * MoCo v3: the keys of the whole batch, row i of `keys` being the positive of query i. query, keys `[N, D]`; others
 * `[M - N, D]`, the keys of the batch's other micro-batches, or null where there are none -> `[N, M]`: the positive,
 * the other keys in their order, then `others`. A batch of M = 1 has no negatives and is rejected.
 */
export function batchSimilarities(b: Builder, query: Value, keys: Value, others: Value | null): Value {
  const parts = [rowProducts(b, query, keys)];
  // A micro-batch of one has negatives in `others` only.
  if (query.dims[0]! > 1 || !others) parts.push(withoutDiagonal(b, products(b, query, keys)));
  if (others) parts.push(products(b, query, others));
  return b.op('Concat', parts, { axis: 1 });
}

/**
 * SimCLR: every embedding against all others of both views; the same image in the other view is the positive, the
 * product with itself is left out. z1, z2 `[M, D]` -> `[2M, 2M - 1]`, the rows of view 1 first. In each row the other
 * view's negatives come before the own view's. M = 1 has no negatives and is rejected.
 */
export function viewSimilarities(b: Builder, z1: Value, z2: Value): Value {
  const rowsOf = (z: Value, positives: Value) => {
    const own = withoutDiagonal(b, products(b, z, z));
    return b.op('Concat', [batchSimilarities(b, z, positives, null), own], { axis: 1 });
  };
  return b.op('Concat', [rowsOf(z1, z2), rowsOf(z2, z1)], { axis: 0 });
}

/** x, y `[N, D]` -> inner product of each row of x with the same row of y, `[N, 1]`. */
function rowProducts(b: Builder, x: Value, y: Value): Value {
  return b.op('ReduceSum', [b.op('Mul', [x, y])], { axes: [1] });
}

/** x `[N, D]`, y `[K, D]` -> inner product of every row of x with every row of y, `[N, K]`. */
function products(b: Builder, x: Value, y: Value): Value {
  return b.op('Gemm', [x, y], { transB: true });
}

/**
 * `[N, N]` -> `[N, N - 1]`: each row without its diagonal element. In row-major order diagonal elements lie N + 1
 * apart: behind the first one, rows of N + 1 elements end with one each.
 */
function withoutDiagonal(b: Builder, square: Value): Value {
  const n = square.dims[0]!;
  const flat = b.op('Reshape', [square], { shape: [n * n] });
  const behindFirst = b.op('Slice', [flat], { starts: [1], ends: [n * n], axes: [0] });
  const skewed = b.op('Reshape', [behindFirst], { shape: [n - 1, n + 1] });
  const kept = b.op('Slice', [skewed], { starts: [0], ends: [n], axes: [1] });
  return b.op('Reshape', [kept], { shape: [n, n - 1] });
}
