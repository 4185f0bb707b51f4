import { expect } from 'chai';
import { StatisticsMeter, statisticsOptions } from '../../src/data/measuredStatistics.js';
import type { RawImage } from '../../src/data/source.js';
import { Random } from '../../src/random.js';

function image(width: number, height: number, channels: number, data: Uint8Array | Uint16Array): RawImage {
  return { width, height, channels, data };
}

/** Mean and deviation of values in two passes. */
function twoPasses(values: readonly number[]): [number, number] {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  return [mean, Math.sqrt(variance)];
}

describe('measured mean and deviation of channels', () => {
  const random = new Random(3);
  const noise = (count: number, channels: number, low: number, high: number) =>
    Array.from({ length: count }, () =>
      image(
        7,
        5,
        channels,
        Uint16Array.from({ length: 35 * channels }, () => low + random.integer(high - low)),
      ),
    );

  it('images of one size: those of all pixels in two passes, by channel, in whatever order they come', () => {
    const images = noise(9, 6, 0, 65_536);
    const meter = new StatisticsMeter(9, 6);
    for (const index of random.permutation(9)) meter.add(index, images[index]!);
    const { mean, std, images: count } = meter.measured()!;
    expect(count).to.equal(9);
    for (let c = 0; c < 6; c++) {
      const values = images.flatMap(({ data }) =>
        Array.from(data)
          .filter((_, i) => i % 6 === c)
          .map((value) => value / 65_535),
      );
      const [expectedMean, expectedStd] = twoPasses(values);
      expect(mean[c]).to.be.closeTo(expectedMean, 1e-14);
      expect(std[c]).to.be.closeTo(expectedStd, 1e-14);
    }
    const again = new StatisticsMeter(9, 6);
    for (const [index, one] of images.entries()) again.add(index, one);
    expect(again.measured()).to.deep.equal(meter.measured());
  });

  it('values far from 0 that hardly differ: no digit is lost', () => {
    const images = noise(4, 1, 65_530, 65_533);
    const meter = new StatisticsMeter(4, 1);
    for (const [index, one] of images.entries()) meter.add(index, one);
    const [mean, std] = twoPasses(images.flatMap(({ data }) => Array.from(data, (value) => value / 65_535)));
    const measured = meter.measured()!;
    expect(measured.mean[0]! / mean).to.be.closeTo(1, 1e-12);
    expect(measured.std[0]! / std).to.be.closeTo(1, 1e-9);
  });

  it('a first pixel far from the others, of a large image: no digit is lost', () => {
    const side = 2400;
    const data = new Uint16Array(side * side).map((_, i) => (i === 0 ? 0 : 60_000 + (i % 2)));
    const meter = new StatisticsMeter(1, 1);
    meter.add(0, image(side, side, 1, data));
    const [mean, variance] = [60_000.5, 0.25].map((value) => value - value / data.length);
    const expected = Math.sqrt(variance! + (mean! * mean!) / (data.length - 1));
    expect((meter.measured()!.std[0]! * 65_535) / expected).to.be.closeTo(1, 1e-6);
  });

  it('a large and a small image count the same; 8 bits beside 16', () => {
    const meter = new StatisticsMeter(3, 1);
    meter.add(0, image(40, 30, 1, new Uint8Array(1200)));
    meter.add(2, image(1, 2, 1, Uint16Array.of(65_535, 65_535)));
    expect(meter.measured()).to.deep.equal({ mean: [0.5], std: [0.5], images: 2 });
  });

  it('flat images: a deviation of exactly 0, by which nothing is divided', () => {
    const meter = new StatisticsMeter(2, 2);
    for (const index of [0, 1]) {
      meter.add(
        index,
        image(
          3,
          3,
          2,
          Uint16Array.from({ length: 18 }, (_, i) => (i % 2 === 0 ? 12_345 : 65_535)),
        ),
      );
    }
    const measured = meter.measured()!;
    expect(measured.std).to.deep.equal([0, 0]);
    expect(measured.mean[1]).to.equal(1);
    expect(statisticsOptions(measured, { channels: 2, depth: 16 })).to.equal(
      "--set data.channels=2 --set data.depth=16 --set 'data.mean=[0.18837,1]' --set 'data.std=[1,1]'",
    );
  });

  it('no image: none', () => {
    expect(new StatisticsMeter(2, 3).measured()).to.equal(null);
  });
});
