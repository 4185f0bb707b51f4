import type { Lowering } from '../../ops/operator.js';
import type { SliceAttributes } from '../../ops/slice.js';

/** Slice, of bool as of numbers: the provider's kernels that move elements do not take bool. */
export const slice: Lowering<SliceAttributes> = (b, [x], attributes) => {
  if (x!.dtype !== 'bool') return [b.op('Slice', [x!], attributes)];
  const numbers = b.op('Cast', [x!], { to: 'float32' });
  return [b.op('Cast', [b.op('Slice', [numbers], attributes)], { to: 'bool' })];
};
