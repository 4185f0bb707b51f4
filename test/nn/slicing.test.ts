import { expect } from 'chai';
import { parseConfig } from '../../src/config/load.js';
import type { ConfigInput } from '../../src/config/schema.js';
import { intersection, leading, type Region } from '../../src/graph/region.js';
import { networkOf } from '../../src/methods/index.js';
import { nonOverlapping, overlapping, type Channels } from '../../src/nn/slicing.js';

const range = ({ start, count }: Channels) => [start, start + count];

describe('nn/slicing', () => {
  it('overlapping: the first int(c w) channels', () => {
    expect([1, 0.75, 0.3].map((w) => range(overlapping(16, w)))).to.deep.equal([[0, 16], [0, 12], [0, 4]]); // prettier-ignore
  });

  it('non-overlapping, 1, 0.5 and 0.25 of 16 channels: 0.25 has 0 to 3, 0.5 has 4 to 11, 1 all', () => {
    const widths = [1, 0.5, 0.25];
    const slicing = nonOverlapping(widths);
    expect(widths.map((w) => range(slicing(16, w)))).to.deep.equal([[0, 16], [4, 12], [0, 4]]); // prettier-ignore
  });

  it('non-overlapping, widths that add up to 1 and channels that they do not divide: side by side, within the layer', () => {
    const widths = [1, 0.6, 0.3, 0.1];
    const slicing = nonOverlapping(widths);
    for (const channels of [16, 23, 64, 2048]) {
      const [full, wide, middle, narrow] = widths.map((w) => range(slicing(channels, w)));
      expect([full![0], full![1], narrow![0]]).to.deep.equal([0, channels, 0]);
      expect([middle![0], wide![0]]).to.deep.equal([narrow![1], middle![1]]);
      expect(wide![1]).to.be.within(channels - 3, channels);
    }
  });

  const widths = [1, 0.5, 0.25];
  const parametersOf = (kind: NonNullable<ConfigInput['method']>['kind'], head: 'slimmable' | 'switchable') =>
    networkOf(
      parseConfig({
        widths,
        method: { kind },
        techniques: { weights: 'non-overlapping', head, distillation: { kind: 'none' } },
      }),
    ).declarations.parameters;
  const insideOf = ({ start, shape }: Region, whole: readonly number[]) =>
    start.every((from, axis) => from >= 0 && from + shape[axis]! <= whole[axis]!);

  for (const kind of ['moco-v2', 'moco-v3', 'simclr', 'supervised'] as const) {
    it(`${kind}: sub-networks share no weight, the full width has all of it`, () => {
      for (const { name, shape, role, slice } of parametersOf(kind, 'slimmable')) {
        const [full, half, quarter] = widths.map(slice);
        for (const block of [full, half, quarter]) {
          if (block) expect(insideOf(block, shape), name).to.equal(true);
        }
        if (role === 'weight') {
          expect(full, name).to.deep.equal(leading(shape));
          expect(intersection(half!, quarter!), name).to.equal(null);
        }
        // What is offset is what is sliced: a last layer's bias is whole in all widths.
        if (role === 'bias' && half!.shape[0] === shape[0]) expect(half, name).to.deep.equal(leading(shape));
      }
    });
  }

  it('a head for each width: its weights are whole, those of the encoder are blocks', () => {
    const parameters = parametersOf('moco-v2', 'switchable');
    const own = parameters.filter(({ name }) => name.startsWith('head.w0.50.'));
    expect(own.map(({ name }) => name)).to.include('head.w0.50.fc1.weight');
    for (const { name, shape, slice } of own) {
      expect(widths.map(slice), name).to.deep.equal([null, leading(shape), null]);
    }
    const stem = parameters.find(({ name }) => name === 'encoder.conv1.weight')!;
    const [channels] = stem.shape;
    expect(stem.slice(0.5)!.start).to.deep.equal([channels! / 4, 0, 0, 0]);
  });
});
