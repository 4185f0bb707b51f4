import { floatTensor, type Tensor } from '../../runtime/session.js';

/**
 * The rows of all tensors `[N, D]` but that at an index, in their order; null where there is no other. E.g. the features
 * of the other micro-batches, which one of them contrasts its own with.
 */
export function otherRows(tensors: readonly Tensor[], index: number): Tensor | null {
  const others = tensors.filter((_, i) => i !== index);
  if (others.length === 0) return null;
  const columns = others[0]!.dims[1]!;
  const values = new Float32Array(others.reduce((sum, { data }) => sum + data.length, 0));
  let offset = 0;
  for (const { data } of others) {
    values.set(data as Float32Array, offset);
    offset += data.length;
  }
  return floatTensor(values, [values.length / columns, columns]);
}
