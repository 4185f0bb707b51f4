import { expect } from 'chai';
import { Graph } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { operatorOf } from '../../src/ops/index.js';
import type { Value } from '../../src/graph/graph.js';
import { convolutionShapes, forEachTap, type Convolution } from '../support/naiveConvolution.js';

/** Floating-point operations that the operator of the last node added states. */
function flops(shapes: readonly (number | string)[][], add: (b: Builder, x: Value[]) => unknown): number {
  const graph = new Graph('test');
  add(
    new Builder(graph),
    shapes.map((shape, i) => graph.input(`in${i}`, { dtype: 'float32', shape })),
  );
  const node = graph.nodes.at(-1)!;
  const types = node.inputs.map((input) => input?.type ?? null);
  return operatorOf(node)!.flops!(
    types,
    node.outputs.map((output) => output.type),
    node.attributes,
  );
}

describe('flops: two a multiply-add', () => {
  const grouped: Convolution = {
    batch: 2,
    channels: 4,
    size: [6, 5],
    filters: 6,
    kernel: [3, 2],
    strides: [2, 1],
    pads: [0, 0, 0, 0],
    dilations: [1, 1],
    group: 2,
  };

  it('Conv, ConvInputGrad and ConvWeightGrad: the taps of the definition, counted', () => {
    let taps = 0;
    forEachTap(grouped, () => (taps += 1));
    const { x, w, y } = convolutionShapes(grouped) as Record<'x' | 'w' | 'y', number[]>;
    const attributes = { strides: grouped.strides, pads: grouped.pads, group: grouped.group };
    expect(flops([x, w], (b, v) => b.op('Conv', v, attributes))).to.equal(2 * taps);
    const input = { ...attributes, inputShape: grouped.size };
    expect(flops([y, w], (b, v) => b.op('ConvInputGrad', v, input))).to.equal(2 * taps);
    const kernel = { ...attributes, kernelShape: grouped.kernel };
    expect(flops([x, y], (b, v) => b.op('ConvWeightGrad', v, kernel))).to.equal(2 * taps);
  });

  it('Conv with a symbolic batch: one image', () => {
    const shapes = [
      ['batch', 3, 4, 4],
      [8, 3, 1, 1],
    ];
    const attributes = { strides: [1, 1], pads: [0, 0, 0, 0] } as const;
    expect(flops(shapes, (b, v) => b.op('Conv', v, attributes))).to.equal(2 * 8 * 3 * 16);
  });

  it('Gemm with transposes and MatMul with a batch', () => {
    const transposed = [
      [7, 2],
      [5, 7],
    ];
    expect(flops(transposed, (b, v) => b.op('Gemm', v, { transA: true, transB: true }))).to.equal(
      2 * 2 * 5 * 7,
    );
    const batched = [
      [3, 2, 7],
      [7, 5],
    ];
    expect(flops(batched, (b, v) => b.op('MatMul', v))).to.equal(2 * 3 * 2 * 5 * 7);
  });
});
