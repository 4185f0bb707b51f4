import { expect } from 'chai';
import { activationScale, quantizeLayer } from '../../src/quantization/scales.js';

describe('activationScale', () => {
  const f = Math.fround;

  it('both signs: asymmetric, 0 is exact', () => {
    const scale = f(2.55 / 255);
    expect(activationScale({ min: -1, max: 1.55 }, 'uint8')).to.deep.equal({ scale, zeroPoint: 100 });
    expect(activationScale({ min: -1, max: 1.55 }, 'int8')).to.deep.equal({ scale, zeroPoint: -28 });
  });

  it("a range that does not contain 0 is made to; a Relu's has the smallest value for 0", () => {
    expect(activationScale({ min: 1, max: 2.55 }, 'uint8')).to.deep.equal({ scale: f(0.01), zeroPoint: 0 });
    expect(activationScale({ min: 0, max: 2.55 }, 'int8')).to.deep.equal({ scale: f(0.01), zeroPoint: -128 });
    expect(activationScale({ min: -2.55, max: -1 }, 'int8')).to.deep.equal({
      scale: f(0.01),
      zeroPoint: 127,
    });
  });

  it('flat, tiny and huge: a scale that float32 has', () => {
    expect(activationScale({ min: 0, max: 0 }, 'uint8')).to.deep.equal({ scale: 1, zeroPoint: 0 });
    const flat = activationScale({ min: 7, max: 7 }, 'uint8');
    expect(flat.zeroPoint).to.equal(0);
    expect(255 * flat.scale).to.be.closeTo(7, 1e-6);
    expect(activationScale({ min: 0, max: 1e-44 }, 'uint8').scale).to.be.within(1e-20, 1e-15);
    const huge = activationScale({ min: -3e38, max: 3e38 }, 'uint8');
    expect(huge.scale).to.be.within(2.3e36, 2.4e36);
    expect(huge.zeroPoint).to.be.within(127, 128);
  });
});

describe('quantizeLayer', () => {
  const layer = (weight: number[], bias: number[] | null, inputScale = 0.02) =>
    quantizeLayer(
      Float32Array.from(weight),
      bias && Float32Array.from(bias),
      2,
      (element) => Math.floor(element / 2),
      inputScale,
    );

  it('by channel: the largest weight is 127, biases are in the scale of the products', () => {
    const { weight, bias, weightScales, biasScales } = layer([-1, 0.6, 0.02, 0.012], [0.4, -3])!;
    expect([...weight]).to.deep.equal([-127, 76, 127, 76]);
    const scales = [1 / 127, 0.02 / 127];
    for (const [k, scale] of scales.entries()) {
      expect(weightScales[k]! / scale).to.be.closeTo(1, 1e-6);
      expect(biasScales[k]!).to.equal(Math.fround(weightScales[k]! * 0.02));
      expect(bias![k]! * biasScales[k]!).to.be.closeTo([0.4, -3][k]!, biasScales[k]!);
    }
  });

  it('ties to even', () => {
    const { weight } = layer([127, 2.5, 127, -3.5], null)!;
    expect([...weight]).to.deep.equal([127, 2, 127, -4]);
  });

  it('dead channels: zeros, with their bias whole or none', () => {
    for (const inputScale of [1e-9, 0.02, 1e9]) {
      for (const dead of [0, 1e-6, -5, 1e6]) {
        const { weight, bias, biasScales } = layer([0, 0, 1, 1], [dead, 0], inputScale)!;
        expect([...weight]).to.deep.equal([0, 0, 127, 127]);
        expect(bias![0]! * biasScales[0]!).to.be.closeTo(dead, 1e-6 * Math.abs(dead));
      }
    }
  });

  it('a bias far larger than the weights: fits, at the cost of the weights', () => {
    const { bias, biasScales } = layer([1e-9, 0, 1, 1], [1000, 1000], 1e-6)!;
    for (const k of [0, 1]) {
      expect(Math.abs(bias![k]!)).to.be.at.most(2 ** 30 + 64);
      expect(bias![k]! * biasScales[k]!).to.be.closeTo(1000, 1e-3);
    }
  });

  it('scales beyond float32: the layer is not quantised', () => {
    expect(layer([3e38, 1, 1, 1], null, 1e6)).to.equal(null);
    expect(layer([3e38, 1, 1, 1], null, 1)).not.to.equal(null);
  });
});
