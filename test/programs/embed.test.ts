import { expect } from 'chai';
import { calibrateProgram, embedProgram } from '../../src/programs/embed.js';
import { keyProgram } from '../../src/programs/key.js';
import { expectClose } from '../support/expectClose.js';
import { runProgram, tinyStep } from './tiny.js';

describe('programs/embed', () => {
  it('any batch size, and features of an image do not depend on the other images', async () => {
    const { config, network, weights, images } = tinyStep();
    const program = embedProgram(network, config, 0.5);
    const pixels = 3 * config.data.imageSize ** 2;
    const { features: all } = await runProgram(program, { images }, weights);
    const { features: last } = await runProgram(program, { images: images.slice(-pixels) }, weights);
    expect(all).to.have.length(config.batchSize * 32);
    expectClose(last!, all!.slice(-32), 1e-5);
  });

  it('with the statistics that calibrate gives for a batch, features are those of training mode on it', async () => {
    const { config, network, weights, images } = tinyStep();
    const batch = await runProgram(calibrateProgram(network, config, 1), { images }, weights);
    const statistics = Object.entries(batch).map(([output, values]) => {
      const name = output.replace('batch.', '');
      if (name.endsWith('running_mean')) return [name, values] as const;
      // Normalisation in training mode takes the biased variance; images are 8x8, 4x4 and 2x2 by stage.
      const stage = Number(/layer(\d)/.exec(name)?.[1] ?? 1);
      const count = config.batchSize * (config.data.imageSize / 2 ** (stage - 1)) ** 2;
      return [name, values.map((v) => (v * (count - 1)) / count)] as const;
    });
    expect(statistics).to.have.length(2 * 21);
    const calibrated = { ...weights, ...Object.fromEntries(statistics) };
    const { features } = await runProgram(embedProgram(network, config, 1), { images }, calibrated);
    const { keys } = await runProgram(keyProgram(network, config), { images }, weights);

    const linear = (x: readonly number[], layer: string) =>
      weights[`${layer}.bias`]!.map((bias, k) =>
        x.reduce((sum, v, i) => sum + v * weights[`${layer}.weight`]![k * x.length + i]!, bias),
      );
    for (let n = 0; n < config.batchSize; n++) {
      const hidden = linear(features!.slice(n * 64, (n + 1) * 64), 'head.fc1').map((x) => Math.max(0, x));
      const embedding = linear(hidden, 'head.fc2');
      const key = embedding.map((x) => x / Math.hypot(...embedding));
      expectClose(keys!.slice(n * 6, (n + 1) * 6), key, 1e-4);
    }
  });
});
