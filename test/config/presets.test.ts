import { expect } from 'chai';
import { loadConfig } from '../../src/config/load.js';
import { presets } from '../../src/config/presets.js';

describe('presets', () => {
  for (const [preset, { description }] of Object.entries(presets)) {
    it(`${preset}: a valid config with a one-line description`, () => {
      expect(() => loadConfig({ preset })).to.not.throw();
      expect(description).to.match(/^\S.{20,100}$/);
    });

    it(`${preset}: the sub-networks start at half of the epochs`, () => {
      const { epochs, method } = loadConfig({ preset });
      expect(method.slimStartEpoch * 2).to.equal(epochs);
    });
  }

  it('cifar10-resnet20 with the quickstart overrides is valid', () => {
    const set = ['epochs=8', 'method.slimStartEpoch=2', 'data.limit=10000'];
    expect(loadConfig({ preset: 'cifar10-resnet20', set })).to.include({ epochs: 8, batchSize: 64 });
  });

  it('imagenet-resnet50: peak learning rate per image equals the paper recipe, 0.2 at batch 1024', () => {
    const { schedule, batchSize } = loadConfig({ preset: 'imagenet-resnet50' });
    expect(schedule.peak / batchSize).to.equal(0.2 / 1024);
  });
});
