import { expect } from 'chai';
import { floats } from '../../src/engines/hostGraph.js';
import { Graph } from '../../src/graph/graph.js';
import { Builder } from '../../src/ops/builder.js';
import { calibrateRanges } from '../../src/quantization/calibrateRanges.js';
import { entropyThreshold, Histogram } from '../../src/quantization/histogram.js';
import { Random } from '../../src/random.js';
import { randomGraph, randomImages } from './quantized.js';
import { rejection } from '../support/rejection.js';

const cpu = { provider: 'cpu', threads: 1 } as const;

/** images `[batch, 1, 1, 1000]` -> their maximum with 0. */
function relu(): Graph {
  const graph = new Graph('relu');
  const images = graph.input('images', { dtype: 'float32', shape: ['batch', 1, 1, 1000] });
  const weight = graph.input(
    'w',
    { dtype: 'float32', shape: [1, 1, 1, 1] },
    { kind: 'inline', values: Float32Array.of(2) },
  );
  const b = new Builder(graph);
  const window = { strides: [1, 1], pads: [0, 0, 0, 0] } as const;
  graph.output('y', b.op('Relu', [b.op('Conv', [images, weight], window)]));
  return graph;
}

const batch = (...values: number[]) => {
  const data = new Float32Array(1000);
  data.set(values);
  return floats(data, [1, 1, 1, 1000]);
};

describe('calibrateRanges', () => {
  it('minmax: the smallest and largest values of all batches', async () => {
    const ranges = await calibrateRanges(relu(), [batch(-3, 1), batch(2)], 'minmax', cpu);
    expect(Object.fromEntries(ranges)).to.deep.equal({
      images: { min: -3, max: 2 },
      Relu: { min: 0, max: 4 },
    });
  });

  it('percentile and entropy: without a rare outlier, 0 kept as the end of a Relu', async () => {
    const random = new Random(3);
    const noise = Array.from({ length: 60 }, () =>
      batch(...Array.from({ length: 1000 }, () => random.normal())),
    );
    const batches = [...noise, batch(-100), batch(100)];
    for (const method of ['percentile', 'entropy'] as const) {
      const { images, Relu } = Object.fromEntries(await calibrateRanges(relu(), batches, method, cpu));
      expect(images!.max, method).to.be.within(2.5, 7);
      expect(images!.min, method).to.be.within(-7, -2.5);
      expect(Relu!.max, method).to.be.within(5, 26);
      expect(Relu!.min, method).to.equal(0);
    }
  });

  it('activations that are all 0 have a range of 0, whatever the method', async () => {
    for (const method of ['minmax', 'percentile', 'entropy'] as const) {
      const { images, Relu } = Object.fromEntries(await calibrateRanges(relu(), [batch(-3)], method, cpu));
      expect(Relu).to.deep.equal({ min: 0, max: 0 });
      expect(images!.min).to.equal(-3);
    }
  });

  it('every activation of a ResNet that is rounded', async () => {
    const { graph } = randomGraph('resnet20', 0.25);
    const ranges = await calibrateRanges(graph, [randomImages(2, 32)], 'minmax', cpu);
    // Images, 21 convolutions and 9 sums with or without their Relu, the pool.
    expect(ranges.size).to.equal(1 + 21 + 9 + 1);
    for (const [name, { min, max }] of ranges) {
      expect(max, name).to.be.above(min);
      if (name.includes('Relu')) expect(min, name).to.equal(0);
    }
  });

  it('a value that is not finite: one line with the name', async () => {
    const { message } = await rejection(calibrateRanges(relu(), [batch(1, NaN)], 'minmax', cpu));
    expect(message).to.match(/is NaN for an image of the calibration; accepted: finite values/);
    const overflow = await rejection(calibrateRanges(relu(), [batch(3e38)], 'minmax', cpu));
    expect(overflow.message).to.match(/^Relu is Infinity for an image/);
  });
});

describe('entropyThreshold', () => {
  it('magnitudes spread evenly: all of them', () => {
    const histogram = new Histogram({ min: 0, max: 1 }, 2048);
    histogram.add(Float32Array.from({ length: 20_480 }, (_, i) => (i + 0.5) / 20_480));
    expect(entropyThreshold(histogram, 128)).to.be.above(0.99);
  });

  it('a few far outliers: cut', () => {
    const histogram = new Histogram({ min: 0, max: 1 }, 2048);
    histogram.add(Float32Array.from({ length: 100_000 }, (_, i) => 0.2 * (i / 100_000) ** 2));
    histogram.add(Float32Array.of(1, 0.9, 0.8));
    expect(entropyThreshold(histogram, 128)).to.be.within(0.15, 0.25);
  });
});
