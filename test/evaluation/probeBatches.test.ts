import { expect } from 'chai';
import { openSource } from '../../src/data/source.js';
import { ViewLoader } from '../../src/data/loader.js';
import { FrozenEncoder } from '../../src/evaluation/features.js';
import { labelled } from '../../src/evaluation/labelledImages.js';
import { AugmentedBatches, CachedBatches, cropAndFlip } from '../../src/evaluation/probeBatches.js';
import { networkOf } from '../../src/methods/index.js';
import { expectClose } from '../support/expectClose.js';
import { tinyConfig, trainedWeights } from './tinyRun.js';

const classesOf = (labels: { readonly data: unknown }) => Array.from(labels.data as BigInt64Array, Number);

describe('CachedBatches', () => {
  it('10 images in batches of 4: two batches of other images, an order for each epoch; the labels go along', async () => {
    const widths = [1, 3].map((channels) => ({
      count: 10,
      channels,
      data: Float32Array.from({ length: 10 * channels }, (_, i) => Math.floor(i / channels)),
    }));
    const labels = Int32Array.from({ length: 10 }, (_, i) => 100 + i);
    const batches = new CachedBatches(widths, labels, 4, 7);
    expect(batches.stepsPerEpoch).to.equal(2);
    const epochs: number[][] = [];
    for (const epoch of [0, 1]) {
      const seen: number[] = [];
      for (const step of [0, 1]) {
        const batch = await batches.batch(epoch, step);
        const [one, three] = batch.features.map(({ data }) => Array.from(data as Float32Array));
        expect(three).to.deep.equal(one!.flatMap((index) => [index, index, index]));
        expect(classesOf(batch.labels)).to.deep.equal(one!.map((index) => 100 + index));
        seen.push(...one!);
      }
      expect(new Set(seen).size).to.equal(8);
      epochs.push(seen);
    }
    expect(epochs[0]).to.not.deep.equal(epochs[1]);
  });
});

describe('AugmentedBatches', function () {
  this.timeout(30_000);

  it('150 images, embedded in two parts: features of the views, with their labels; other ones in each epoch', async () => {
    const config = tinyConfig({ data: { imageSize: 16 } });
    const network = networkOf(config);
    const weights = trainedWeights(network);
    const encoders = await Promise.all(
      config.widths.map((width) => FrozenEncoder.open(network, config, width, weights)),
    );
    const source = labelled(await openSource('cifar10', { limit: 310 }));
    const { imageSize, mean, std } = config.data;
    const options = { seed: 5, batchSize: 150, imageSize, mean, std, augmentations: cropAndFlip, workers: 1 };
    const loader = new ViewLoader(source, options);
    const batches = new AugmentedBatches(source, config, encoders, 150, 5);
    try {
      expect(batches.stepsPerEpoch).to.equal(2);
      const found = await batches.batch(1, 1);
      const { views, indices } = await loader.batch(1, 1);
      expect(classesOf(found.labels)).to.deep.equal(Array.from(indices, (index) => source.labels[index]));
      const first = found.features.map(({ data }) => Array.from(data as Float32Array));
      for (const [i, encoder] of encoders.entries()) {
        expectClose(first[i]!, Array.from(await encoder.features(Float32Array.from(views[0]), 150)), 1e-5);
      }
      const later = await batches.batch(2, 1);
      expect(Array.from(later.features[0]!.data as Float32Array)).to.not.deep.equal(first[0]);
    } finally {
      await Promise.all([loader.close(), batches.close(), ...encoders.map((encoder) => encoder.close())]);
    }
  });
});
