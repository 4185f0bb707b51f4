import { expect } from 'chai';
import { diffConfigs, formatConfig } from '../../src/config/format.js';
import { loadConfig, parseConfig } from '../../src/config/load.js';

describe('formatConfig', () => {
  it('parses back to the same config, lists on one line', () => {
    const config = loadConfig({ preset: 'imagenet-resnet50', set: ['data.source=/a "quoted"\\path'] });
    const text = formatConfig(config);
    expect(parseConfig(JSON.parse(text))).to.deep.equal(config);
    expect(text).to.include('\n  "widths": [1, 0.75, 0.5, 0.25],\n');
    expect(text).to.include('\n    "name": "resnet50",\n');
  });
});

describe('diffConfigs', () => {
  it('equal configs: no difference', () => {
    expect(diffConfigs(loadConfig({}), loadConfig({}))).to.deep.equal([]);
  });

  it('names the leaf that differs with both values; a list is one value', () => {
    const other = loadConfig({ set: ['widths=[1,0.5]', 'method.temperature=0.1'] });
    expect(diffConfigs(loadConfig({}), other)).to.deep.equal([
      { path: 'widths', a: [1, 0.75, 0.5, 0.25], b: [1, 0.5] },
      { path: 'method.temperature', a: 0.2, b: 0.1 },
    ]);
  });

  it('a key that one side lacks is undefined there', () => {
    expect(diffConfigs({ a: { b: 1 } }, { a: { c: null } })).to.deep.equal([
      { path: 'a.b', a: 1, b: undefined },
      { path: 'a.c', a: undefined, b: null },
    ]);
  });
});
