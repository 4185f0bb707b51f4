import { expect } from 'chai';
import type { HostTensors } from '../../../src/engines/hostGraph.js';
import { differenceOf } from '../../../tools/interop/difference.js';

const tensors = (values: Readonly<Record<string, number[]>>): HostTensors =>
  Object.fromEntries(
    Object.entries(values).map(([name, row]) => [
      name,
      { dtype: 'float32', shape: [1, row.length], data: Float32Array.from(row) },
    ]),
  );

describe('tools/interop: the difference of outputs', () => {
  it('is relative to the largest value of the output where it is largest, the cosine the least one', () => {
    const ours = tensors({ features: [4, 0], logits: [3, -4] });
    const { largest, cosine } = differenceOf(tensors({ features: [4, 1], logits: [3, -4] }), ours);
    expect(largest).to.equal(0.25);
    expect(cosine).to.be.closeTo(4 / Math.sqrt(17), 1e-12);
  });

  it('is nothing between outputs that are all zero, and no number where one is not finite', () => {
    const zeros = tensors({ features: [0, 0] });
    expect(differenceOf(zeros, zeros)).to.deep.equal({ largest: 0, cosine: 1 });
    const { largest, cosine } = differenceOf(tensors({ features: [NaN, 1] }), tensors({ features: [2, 1] }));
    expect([largest, cosine]).to.deep.equal([NaN, NaN]);
  });

  it('names an output that is not there or has another shape', () => {
    const ours = tensors({ features: [1, 2] });
    expect(() => differenceOf({}, ours)).to.throw('features: [] instead of [1, 2]');
    expect(() => differenceOf(tensors({ features: [1] }), ours)).to.throw(
      'features: [1, 1] instead of [1, 2]',
    );
  });
});
