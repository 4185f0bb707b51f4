import { expect } from 'chai';
import { loadConfig } from '../../src/config/load.js';
import { configSchema } from '../../src/config/schema.js';

/** The augmentation of a run on other channels than RGB. */
const grey = ['augmentation.jitter.saturation=0', 'augmentation.jitter.hue=0', 'augmentation.grayscale=0'];

function refusal(...set: string[]): string {
  try {
    loadConfig({ set });
  } catch (error) {
    return (error as Error).message;
  }
  return 'accepted';
}

describe('channels of a config', () => {
  it('what says nothing of them is RGB of 8 bits with the statistics of CIFAR-10', () => {
    const { channels, depth, mean, std } = configSchema.parse({}).data;
    expect({ channels, depth, mean, std }).to.deep.equal({
      channels: 3,
      depth: 8,
      mean: [0.4914, 0.4822, 0.4465],
      std: [0.247, 0.2435, 0.2616],
    });
  });

  it('other channels: general statistics where none are given, of each channel', () => {
    const { data } = loadConfig({ set: ['data.channels=5', ...grey] });
    expect(data.mean).to.deep.equal([0.5, 0.5, 0.5, 0.5, 0.5]);
    expect(data.std).to.deep.equal([0.25, 0.25, 0.25, 0.25, 0.25]);
    const given = loadConfig({ set: ['data.channels=1', 'data.mean=[0.1]', ...grey] }).data;
    expect([given.mean, given.std]).to.deep.equal([[0.1], [0.25]]);
  });

  it('the defaults belong to nobody: a config that is changed changes no other', () => {
    configSchema.parse({}).data.mean[0] = 9;
    expect(configSchema.parse({}).data.mean[0]).to.equal(0.4914);
  });

  it('other numbers of statistics than of channels, given or of a preset: refused in one line', () => {
    const of = (key: string, given: string, channels: number) =>
      `data.${key} has ${given} for data.channels ${channels}; accepted: ${channels}, as slimclr data info --statistics ` +
      'prints them';
    expect(refusal('data.mean=[0.1,0.2]')).to.equal(`config: ${of('mean', '2 numbers', 3)}`);
    expect(refusal('data.channels=1', 'data.std=[1,2,3]', ...grey)).to.equal(
      `config: ${of('std', '3 numbers', 1)}`,
    );
    expect(() => loadConfig({ preset: 'images', set: ['data.channels=2', ...grey] })).to.throw(
      `config: ${of('mean', '3 numbers', 2)}; also: ${of('std', '3 numbers', 2)}`,
    );
    expect(refusal('data.mean=[]')).to.contain('data.mean is []; accepted: a list');
  });

  const accepted: Record<string, readonly [set: readonly string[], message: string]> = {
    'the defaults on grey': [
      ['data.channels=1'],
      'augmentation.jitter.saturation, augmentation.jitter.hue, augmentation.grayscale are of RGB, and data.channels is 1; ' +
        'accepted: 0 (--set augmentation.jitter.saturation=0 --set augmentation.jitter.hue=0 --set augmentation.grayscale=0)',
    ],
    'hue alone': [
      ['data.channels=4', grey[0]!, grey[2]!],
      'augmentation.jitter.hue is of RGB, and data.channels is 4; accepted: 0 (--set augmentation.jitter.hue=0)',
    ],
    'solarize of one view, on bands': [
      ['data.channels=4', 'augmentation.solarize=[0,0.2]', ...grey],
      'augmentation.solarize is of grey or RGB, and data.channels is 4; accepted: 0 (--set augmentation.solarize=0)',
    ],
  };
  for (const [name, [set, message]] of Object.entries(accepted)) {
    it(`augmentation that needs other channels, ${name}: refused in one line, with what is accepted`, () => {
      expect(refusal(...set)).to.equal(`config: ${message}`);
    });
  }

  it('jitter that never comes, brightness, contrast, blur; solarize of grey: accepted', () => {
    expect(refusal('data.channels=4', 'augmentation.jitter.probability=0', grey[2]!)).to.equal('accepted');
    expect(refusal('data.channels=1', 'augmentation.solarize=0.2', ...grey)).to.equal('accepted');
    expect(refusal('data.channels=13', 'data.depth=16', ...grey)).to.equal('accepted');
  });

  it('values that are none: the key, the value, what is accepted', () => {
    expect(refusal('data.channels=0')).to.equal('config: data.channels is 0; accepted: an integer >= 1');
    expect(refusal('data.depth=12')).to.equal('config: data.depth is 12; accepted: 8, 16');
  });
});
