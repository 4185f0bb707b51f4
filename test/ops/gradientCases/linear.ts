import type { GemmAttributes } from '../../../src/ops/gemm.js';
import type { GradientCase } from '../../support/checkGradient.js';

/** A B of [3, 4] and [4, 5], each stored transposed where asked, with or without C. */
function gemm(attributes: GemmAttributes, c?: number[]): GradientCase {
  const flags = [attributes.transA && 'A transposed', attributes.transB && 'B transposed'].filter(Boolean);
  const shapes = [
    attributes.transA ? [4, 3] : [3, 4],
    attributes.transB ? [5, 4] : [4, 5],
    ...(c ? [c] : []),
  ];
  return {
    title: [...flags, c ? `C [${c.join(',')}]` : 'no C'].join(', '),
    inputs: shapes.map((shape) => ({ shape })),
    build: (b, inputs) => [b.op('Gemm', inputs, attributes)],
  };
}

function matMul(x: number[], y: number[]): GradientCase {
  return {
    title: `[${x.join(',')}] with [${y.join(',')}]`,
    inputs: [{ shape: x }, { shape: y }],
    build: (b, inputs) => [b.op('MatMul', inputs)],
  };
}

export const linear = {
  Gemm: [
    gemm({}),
    gemm({ transA: true }),
    gemm({ transB: true }),
    gemm({ transA: true, transB: true }),
    gemm({ transB: true }, [5]),
    gemm({}, [3, 1]),
    gemm({}, [1, 5]),
    gemm({}, [3, 5]),
    gemm({}, []),
  ],
  MatMul: [
    matMul([3, 4], [4, 5]),
    matMul([1, 4], [4, 1]),
    matMul([2, 3, 4], [2, 4, 5]),
    matMul([2, 3, 4], [4, 5]),
    matMul([3, 4], [2, 4, 5]),
    matMul([2, 1, 3, 4], [3, 4, 2]),
  ],
} satisfies Record<string, readonly GradientCase[]>;
