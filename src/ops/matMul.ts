import type { Value } from '../graph/graph.js';
import type { Builder } from './builder.js';
import type { NoAttributes, StandardOperator } from './operator.js';
import { broadcast, countedElements, required, sameTypes } from './shapes.js';

/** ONNX MatMul of `[..., M, K]` and `[..., K, N]`, both of rank 2 or more, leading axes broadcast. */
export const MatMul: StandardOperator<NoAttributes> = {
  domain: '',
  infer([left, right]) {
    const a = required(left, 'first input');
    const b = required(right, 'second input');
    sameTypes(a, b);
    if (a.shape.length < 2 || b.shape.length < 2) throw new Error('both inputs must have rank 2 or more');
    if (a.shape.at(-1) !== b.shape.at(-2)) {
      throw new Error(`[${a.shape.join(',')}] and [${b.shape.join(',')}] do not multiply`);
    }
    const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
    return [{ dtype: a.dtype, shape: [...batch, a.shape.at(-2)!, b.shape.at(-1)!] }];
  },
  gradient({ b, inputs: [x, y], gradients: [dy], needs }) {
    return [
      needs[0] ? b.op('MatMul', [dy!, swapLast(b, y!)]) : null,
      needs[1] ? b.op('MatMul', [swapLast(b, x!), dy!]) : null,
    ];
  },
  flops: ([a], [out]) => 2 * countedElements(out!.shape) * Number(a!.shape.at(-1)),
};

function swapLast(b: Builder, x: Value): Value {
  const perm = x.shape.map((_, i) => i);
  perm.push(...perm.splice(-2).reverse());
  return b.op('Transpose', [x], { perm });
}
