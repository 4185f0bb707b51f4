import type { StandardOperator } from './operator.js';
import { required } from './shapes.js';

export interface TransposeAttributes {
  readonly perm: readonly number[];
}

/** ONNX Transpose. */
export const Transpose: StandardOperator<TransposeAttributes> = {
  domain: '',
  infer([input], { perm }) {
    const x = required(input, 'input');
    if (perm.length !== x.shape.length || new Set(perm).size !== perm.length) {
      throw new Error(`perm [${perm.join(',')}] is no permutation of ${x.shape.length} axes`);
    }
    return [{ dtype: x.dtype, shape: perm.map((axis) => x.shape[axis]!) }];
  },
  gradient: ({ b, gradients: [dy], attributes: { perm } }) => [
    b.op('Transpose', [dy!], { perm: perm.map((_, i) => perm.indexOf(i)) }),
  ],
  flops: () => 0,
  emit: ({ perm }) => ({ attributes: { perm } }),
};
