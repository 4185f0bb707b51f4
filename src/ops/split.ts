import { int64 } from './reduction.js';
import type { StandardOperator } from './operator.js';
import { fixed, normalAxis, required } from './shapes.js';

export interface SplitAttributes {
  readonly axis: number;
  /** Size of each part along the axis. */
  readonly sizes: readonly number[];
}

/** ONNX Split into parts of given sizes: the inverse of Concat. */
export const Split: StandardOperator<SplitAttributes> = {
  domain: '',
  infer([input], { axis, sizes }) {
    const x = required(input, 'input');
    const at = normalAxis(axis, x.shape.length);
    const size = fixed(x.shape[at], `dimension ${at}`);
    const total = sizes.reduce((sum, part) => sum + part, 0);
    if (total !== size || sizes.some((part) => part < 1)) {
      throw new Error(`parts of [${sizes.join(',')}] do not make up axis ${at} with ${size} elements`);
    }
    return sizes.map((part) => ({ dtype: x.dtype, shape: x.shape.map((d, i) => (i === at ? part : d)) }));
  },
  gradient({ b, outputs, gradients, attributes: { axis } }) {
    const parts = outputs.map(
      (y, i) => gradients[i] ?? b.op('Expand', [b.scalarLike(0, y)], { shape: y.dims }),
    );
    return [b.op('Concat', parts, { axis })];
  },
  flops: () => 0,
  emit: ({ axis, sizes }) => ({ attributes: { axis }, constants: [int64(sizes)] }),
};
