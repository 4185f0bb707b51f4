import { expect } from 'chai';
import { SlimclrError } from '../../src/errors.js';
import type { Features } from '../../src/evaluation/features.js';
import { standardization, standardize, withoutStandardization } from '../../src/evaluation/standardize.js';
import { Random } from '../../src/random.js';

/** Columns of `count` images each, as features. */
function columns(...values: Float32Array[]): Features {
  const [count, channels] = [values[0]!.length, values.length];
  const data = Float32Array.from({ length: count * channels }, (_, i) =>
    values[i % channels]!.at(Math.floor(i / channels))!,
  );
  return { count, channels, data };
}

describe('standardization', () => {
  const count = 500;
  const random = new Random(11);
  const column = (draw: () => number) => Float32Array.from({ length: count }, draw);

  it('channels of any size that vary: mean 0, variance 1 / C', () => {
    const features = columns(
      column(() => random.normal()),
      column(() => 1e-20 * (1 + random.normal())),
      column(() => 1e20 * random.normal()),
      // 1 in 10,000 is 100 times what float32 rounds in sums of features.
      column(() => 10_000 + random.normal()),
    );
    const { data } = standardize(features, standardization(features));
    for (let c = 0; c < 4; c++) {
      const own = data.filter((_, i) => i % 4 === c);
      const mean = own.reduce((sum, x) => sum + x / count, 0);
      const variance = own.reduce((sum, x) => sum + (x - mean) ** 2 / count, 0);
      expect(mean, `mean of ${c}`).to.be.closeTo(0, 1e-6);
      expect(variance, `variance of ${c}`).to.be.closeTo(1 / 4, 1e-4);
    }
  });

  for (const [title, size, ulps] of [
    ['0.7, one of three neighbours in float32', 0.7, 1],
    ['1e-12 and the roundings of a sum of 100', 1e-12, 10],
    ['-3e5 and the roundings of a sum of 1000', -3e5, 30],
  ] as const) {
    it(`a channel of ${title}: constant, so 0, and its classifier weight too`, () => {
      const noise = () => size * (1 + ulps * 2 ** -24 * random.normal());
      const features = columns(
        column(() => random.normal()),
        column(noise),
      );
      const map = standardization(features);
      expect(map.scale[1]).to.equal(0);
      expect(standardize(features, map).data.every((x, i) => i % 2 === 0 || x === 0)).to.equal(true);
      const classifier = {
        classes: 1,
        channels: 2,
        weight: Float32Array.of(1, 5),
        bias: Float32Array.of(0),
      };
      expect(withoutStandardization(classifier, map).weight[1]).to.equal(0);
    });
  }

  it('a feature that is not finite: SlimclrError', () => {
    const features = { count: 3, channels: 2, data: Float32Array.of(1, 0, 1, 0, 1, -Infinity) };
    expect(() => standardization(features)).to.throw(
      SlimclrError,
      'the features for image 2 are not finite (-Infinity)',
    );
  });
});
