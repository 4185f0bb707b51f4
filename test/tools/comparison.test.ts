import { expect } from 'chai';
import type { TensorData } from '../../src/onnx/safetensors.js';
import {
  compare,
  errorsOf,
  switchedRelus,
  type QuantityResult,
  type NamedTensors,
} from '../../tools/reference/comparison.js';

type Values = readonly number[];

const single = (values: Values, shape = [values.length]): TensorData => ({
  dtype: 'float32',
  shape,
  data: Float32Array.from(values),
});
const double = (values: Values, shape = [values.length]): TensorData => ({
  dtype: 'float64',
  shape,
  data: Float64Array.from(values),
});

/** Ours and PyTorch's float32 run against its float64 run. */
const judge = (ours: NamedTensors, float32: NamedTensors, float64: NamedTensors): QuantityResult[] =>
  compare(errorsOf(ours, float64), [errorsOf(float32, float64)]);

/** One tensor, with float64 values `truth` and PyTorch float32 values `pytorch`. */
function compareOne(name: string, ours: Values, truth: Values, pytorch: Values = truth): QuantityResult {
  const results = judge(
    new Map([[name, single(ours)]]),
    new Map([[name, single(pytorch)]]),
    new Map([[name, double(truth)]]),
  );
  expect(results).to.have.length(1);
  return results[0]!;
}

describe('tools/reference: comparison with PyTorch', () => {
  it('gradient: 0.9e-4 of the largest entry is within, 1.1e-4 is not', () => {
    const name = 'w0.25.grad.encoder.conv1.weight';
    expect(compareOne(name, [2, 1 + 1.8e-4], [2, 1]).within).to.equal(true);
    expect(compareOne(name, [2, 1 + 2.2e-4], [2, 1]).within).to.equal(false);
  });

  it("gradient: an error below twice PyTorch's own is allowed and marked", () => {
    const name = 'w1.00.grad.head.fc1.bias';
    const [tensor] = compareOne(name, [1, 1.0019], [1, 1], [1, 1.001]).tensors;
    expect(tensor).to.include({ within: true, excused: true });
    expect(compareOne(name, [1, 1.0021], [1, 1], [1, 1.001]).within).to.equal(false);
  });

  it("loss: 1e-5 holds whatever PyTorch's own error is", () => {
    expect(compareOne('w0.50.loss', [7.00006], [7]).within).to.equal(true);
    expect(compareOne('w0.50.loss', [7.0001], [7], [7.0001]).within).to.equal(false);
  });

  it('gradient of a bias that float64 finds to be 0: measured by the weight gradient of its layer, so is its velocity', () => {
    const compareBias = (bias: number, truth: number) => {
      const [w, b, v] = [
        'w0.50.grad.head.fc1.weight',
        'w0.50.grad.head.fc1.bias',
        'new.velocity.head.fc1.bias',
      ];
      const [sum, sumOfBias] = ['grad.head.fc1.weight', 'grad.head.fc1.bias'];
      const tensors = (make: typeof single | typeof double, value: number) =>
        new Map(
          [w, sum]
            .map((name) => [name, make([2, 4])] as const)
            .concat([b, sumOfBias, v].map((name) => [name, make([value])] as const)),
        );
      const float64 = tensors(double, truth);
      return [...errorsOf(tensors(single, bias), float64)]
        .filter(([name]) => name.endsWith('bias'))
        .map(([, error]) => error!.largest);
    };
    for (const error of compareBias(4e-6, 1e-17)) expect(error).to.be.closeTo(1e-6, 1e-9);
    for (const error of compareBias(1.5e-6, 1e-6)) expect(error).to.be.closeTo(0.5, 1e-6);
  });

  it('NaN on any side is out of bound', () => {
    for (const [ours, truth, pytorch] of [
      [
        [NaN, 1],
        [1, 1],
        [1, 1],
      ],
      [
        [1, 1],
        [NaN, 1],
        [1, 1],
      ],
      [
        [1, 1],
        [1, 1],
        [NaN, 1],
      ],
    ] as const) {
      expect(compareOne('keys', ours, truth, pytorch).within).to.equal(false);
    }
  });

  it('a tensor that one side lacks is out of bound, by name', () => {
    const grads = new Map([['grad.encoder.conv1.weight', double([1])]]);
    const [missing] = judge(new Map(), grads, grads);
    expect(missing).to.deep.include({ within: false, mismatched: ['grad.encoder.conv1.weight'] });
    const [extra] = judge(new Map([['new.head.fc1.bias', single([1])]]), new Map(), new Map());
    expect(extra).to.deep.include({ within: false, mismatched: ['new.head.fc1.bias'] });
  });

  it("slice [1, 2] of [2, 3]: compared with the reference's leading block, which must be 0 elsewhere", () => {
    const name = 'w0.50.grad.encoder.layer1.0.conv1.weight';
    const ours = new Map([[name, single([5, 6], [1, 2])]]);
    const results = [
      [5, 6, 0, 0, 0, 0],
      [5, 6, 0, 1, 0, 0],
      [5, 0, 6, 0, 0, 0],
    ].map((truth) =>
      judge(ours, new Map([[name, single(truth, [2, 3])]]), new Map([[name, double(truth, [2, 3])]])),
    );
    expect(results.map(([result]) => result!.within)).to.deep.equal([true, false, false]);
  });

  it('ReLU units that differ between two runs are counted by name', () => {
    const name = 'w1.00.relu.encoder.layer1.0.relu1';
    const mask = (...data: number[]): Map<string, TensorData> =>
      new Map([[name, { dtype: 'uint8', shape: [data.length], data: Uint8Array.from(data) }]]);
    expect([...switchedRelus(mask(0b1010_0000, 255), mask(0b1001_0000, 254))]).to.deep.equal([
      ['w1.00.encoder.layer1.0.relu1', 3],
    ]);
    expect(switchedRelus(mask(7), mask(7)).size).to.equal(0);
  });
});
