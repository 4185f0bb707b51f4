import { expect } from 'chai';
import { loadConfig } from '../../src/config/load.js';
import { presets } from '../../src/config/presets.js';
import { slimStartEpoch } from '../../src/config/techniques.js';

describe('presets', () => {
  for (const [preset, { description }] of Object.entries(presets)) {
    it(`${preset}: a valid config with a one-line description`, () => {
      expect(() => loadConfig({ preset })).to.not.throw();
      expect(description).to.match(/^\S.{20,100}$/);
    });

    it(`${preset}: the sub-networks start at half of the epochs, those of supervised training at once`, () => {
      const { epochs, method, techniques } = loadConfig({ preset });
      const start = slimStartEpoch(techniques.slowStart);
      expect(start).to.equal(method.kind === 'supervised' ? 0 : epochs / 2);
    });
  }

  it('cifar10-resnet20 with the quickstart overrides is valid', () => {
    const set = ['epochs=8', 'techniques.slowStart.epochs=2', 'data.limit=10000'];
    expect(loadConfig({ preset: 'cifar10-resnet20', set })).to.include({ epochs: 8, batchSize: 64 });
  });

  // docs/method.md, recipes: epochs, total batch, peak, weight decay, epochs of warm-up, slow start.
  const recipes = {
    'imagenet-resnet50': [200, 1024, 0.2, 1e-4, 10, 100],
    'imagenet-resnet50-800': [800, 1024, 0.2, 1e-4, 10, 400],
    'imagenet-resnet50-moco-v3': [300, 1024, 1.2, 1e-6, 10, 150],
    'imagenet-resnet50-simclr': [100, 1024, 2.4, 1e-6, 10, 50],
    'imagenet-resnet50-supervised': [100, 512, 0.2, 1e-4, 5, 0],
  } as const;
  for (const [preset, recipe] of Object.entries(recipes)) {
    it(`${preset}: the recipe of the paper`, () => {
      const { accumulation, batchSize, epochs, optimizer, schedule, techniques } = loadConfig({ preset });
      expect([
        epochs,
        batchSize * accumulation,
        schedule.peak,
        optimizer.weightDecay,
        schedule.warmup * epochs,
        slimStartEpoch(techniques.slowStart),
      ]).to.deep.equal(recipe);
    });
  }
});
