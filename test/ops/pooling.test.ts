import { expect } from 'chai';
import { gradients } from '../../src/autodiff.js';
import type { MaxPoolAttributes } from '../../src/ops/maxPool.js';
import { evaluate, type Operand } from '../support/evaluate.js';

/** Y, Indices, and the gradient of x for the loss sum(Y * weights). */
function maxPool(x: Operand, attributes: MaxPoolAttributes, weights: readonly number[]): Promise<number[][]> {
  return evaluate([x], (b, [vx]) => {
    const [y, indices] = b.node('MaxPool', [vx!], attributes);
    const factors = b.graph.constant(Float32Array.from(weights), y!.dims, 'float32');
    const loss = b.op('ReduceSum', [b.op('Mul', [y!, factors])], { keepdims: false });
    return [y!, indices!, ...gradients(b, loss, [vx!])];
  });
}

describe('MaxPool', () => {
  it('tied maxima, 2x2 stride 2: the first of each window receives the whole gradient', async () => {
    const x = { shape: [1, 1, 2, 4], values: [5, 5, 1, 2, 5, 5, 2, 2] };
    const attributes = { kernelShape: [2, 2], strides: [2, 2], pads: [0, 0, 0, 0] } as const;
    const [y, indices, dx] = await maxPool(x, attributes, [10, 100]);
    expect(y).to.deep.equal([5, 2]);
    expect(indices).to.deep.equal([0, 3]);
    expect(dx).to.deep.equal([10, 0, 0, 100, 0, 0, 0, 0]);
  });

  it('overlapping windows with one maximum: it receives the sum of their gradients', async () => {
    const x = { shape: [1, 1, 1, 5], values: [0, 1, 9, 2, 3] };
    const attributes = { kernelShape: [1, 3], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
    const [y, , dx] = await maxPool(x, attributes, [1, 10, 100]);
    expect(y).to.deep.equal([9, 9, 9]);
    expect(dx).to.deep.equal([0, 0, 111, 0, 0]);
  });

  it('negative elements at a padded border: padding is never the maximum', async () => {
    const x = { shape: [1, 1, 2, 2], values: [-4, -3, -2, -1] };
    const attributes = { kernelShape: [3, 3], strides: [2, 2], pads: [1, 1, 1, 1] } as const;
    const [y, indices, dx] = await maxPool(x, attributes, [7]);
    expect(y).to.deep.equal([-1]);
    expect(indices).to.deep.equal([3]);
    expect(dx).to.deep.equal([0, 0, 0, 7]);
  });

  it('two images of two channels: indices count through the whole tensor', async () => {
    const x = { shape: [2, 2, 1, 2], values: [1, 2, 4, 3, 5, 6, 8, 7] };
    const attributes = { kernelShape: [1, 2], strides: [1, 1], pads: [0, 0, 0, 0] } as const;
    const [y, indices, dx] = await maxPool(x, attributes, [1, 2, 3, 4]);
    expect(y).to.deep.equal([2, 4, 6, 8]);
    expect(indices).to.deep.equal([1, 2, 5, 6]);
    expect(dx).to.deep.equal([0, 1, 2, 0, 0, 3, 4, 0]);
  });
});
