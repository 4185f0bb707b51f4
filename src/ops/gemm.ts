import type { StandardOperator } from './operator.js';
import { broadcast, countedElements, rank, required, sameTypes } from './shapes.js';
import { sameShape } from '../graph/graph.js';

export interface GemmAttributes {
  readonly transA?: boolean;
  readonly transB?: boolean;
}

/** ONNX Gemm: A B + C with optional transposes; C is optional and broadcasts to the result. */
export const Gemm: StandardOperator<GemmAttributes> = {
  domain: '',
  infer([left, right, bias], { transA = false, transB = false }) {
    const a = rank(required(left, 'A'), 2, 'A');
    const b = rank(required(right, 'B'), 2, 'B');
    sameTypes(a, b);
    const [m, k] = transA ? [a.shape[1], a.shape[0]] : [a.shape[0], a.shape[1]];
    const [k2, n] = transB ? [b.shape[1], b.shape[0]] : [b.shape[0], b.shape[1]];
    if (k !== k2) throw new Error(`inner dimensions ${k} and ${k2} differ`);
    const shape = [m!, n!];
    if (bias) sameTypes(a, bias);
    if (bias && !sameShape(broadcast(bias.shape, shape), shape)) {
      throw new Error(`C [${bias.shape.join(',')}] does not broadcast to [${shape.join(',')}]`);
    }
    return [{ dtype: a.dtype, shape }];
  },
  gradient({ b, inputs: [x, y], gradients: [dy], needs, attributes: { transA = false, transB = false } }) {
    // Y = op(A) op(B): d op(A) = dY op(B)^T, d op(B) = op(A)^T dY; a transposed operand takes the transpose.
    const dA = () =>
      transA
        ? b.op('Gemm', [y!, dy!], { transA: transB, transB: true })
        : b.op('Gemm', [dy!, y!], { transB: !transB });
    const dB = () =>
      transB
        ? b.op('Gemm', [dy!, x!], { transA: true, transB: transA })
        : b.op('Gemm', [x!, dy!], { transA: !transA });
    return [needs[0] ? dA() : null, needs[1] ? dB() : null, needs[2] ? dy! : null];
  },
  flops([a], [out], { transA = false }) {
    const inner = Number(a!.shape[transA ? 0 : 1]);
    return 2 * inner * countedElements(out!.shape);
  },
  emit: ({ transA = false, transB = false }) => ({
    attributes: { ...(transA && { transA: 1 }), ...(transB && { transB: 1 }) },
  }),
};
