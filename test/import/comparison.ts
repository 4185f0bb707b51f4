import { expect } from 'chai';
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { FrozenEncoder } from '../../src/evaluation/features.js';
import { openTrainedRun } from '../../src/evaluation/trainedRun.js';
import { readJson } from '../../src/readJson.js';

/** What tools/import/make_models.py writes beside a model: of each width the features of the fixed images. */
const schema = z.object({ size: z.int(), features: z.array(z.array(z.array(z.number()))) });

/** The fixed images of tools/import/make_models.py, `[2, 3, S, S]`. */
function images(size: number): Float32Array {
  return Float32Array.from({ length: 2 * 3 * size * size }, (_, i) =>
    Math.sin(i * 0.37 + Math.sin(i * 0.011) * 3),
  );
}

/** The features of a run at each of its widths equal those that PyTorch computed, to 1e-5 of the largest. */
export async function expectSameFeatures(runFolder: string, file: string): Promise<void> {
  const { size, features } = await readJson(file, schema);
  const { config, network, weights } = await openTrainedRun(runFolder);
  expect(config.widths).to.have.length(features.length);
  const sized = { ...config, data: { ...config.data, imageSize: size } };
  for (const [i, width] of config.widths.entries()) {
    const encoder = await FrozenEncoder.open(network, sized, width, weights);
    try {
      const ours = await encoder.features(images(size), 2);
      const theirs = features[i]!.flat();
      expect(ours).to.have.length(theirs.length);
      const largest = Math.max(...theirs.map(Math.abs));
      expect(largest).to.be.greaterThan(0.01).and.lessThan(1e6);
      const difference = Math.max(...theirs.map((value, j) => Math.abs(value - ours[j]!)));
      expect(difference / largest, `width ${width}`).to.be.lessThan(1e-5);
    } finally {
      await encoder.close();
    }
  }
}

/** Bytes of a fixture, in memory of their own. */
export async function fixtureBytes(name: string): Promise<Buffer> {
  return Buffer.from(await readFile(fixture(name)));
}

/** Path of a fixture, from the folder that tests run in. */
export function fixture(name: string): string {
  return `test/import/fixtures/${name}`;
}
