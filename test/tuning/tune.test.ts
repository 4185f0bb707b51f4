import { expect } from 'chai';
import { noChoices, RecordedChoices, type Choices, type ConvSize } from '../../src/targets/cpu/choices.js';
import type { Layer } from '../../src/tuning/layer.js';
import type { LayerBench } from '../../src/tuning/layerBench.js';
import { tune, type MapQuestion, type TuneOptions } from '../../src/tuning/tune.js';

const conv = (side: number, channels: number, change: Partial<ConvSize> = {}): ConvSize => ({
  batch: 16,
  height: side,
  width: side,
  inputs: channels,
  outputs: channels,
  kernel: 3,
  stride: 1,
  ...change,
});
const over = (convolutions: readonly ConvSize[]): MapQuestion => {
  const { batch, height, width } = convolutions[0]!;
  return { map: { batch, height, width }, convolutions, folded: false };
};

/** Nothing folded, nothing by Winograd, one sample a group. */
const plainest: Choices = { folded: () => false, winograd: () => false, chunk: () => 1 };

/** A machine on which a layer takes what `time` says of the answers it is lowered with. */
class FakeBench implements LayerBench {
  readonly timed: string[] = [];

  constructor(
    private readonly time: (
      layer: Layer,
      answers: { folded: boolean; winograd: boolean; chunk: number },
    ) => number,
  ) {}

  asked({ conv, part }: Layer, choices: Choices): RecordedChoices {
    const recorded = new RecordedChoices(choices);
    const folded = recorded.folded(conv, [conv]);
    if (part !== 'whole' && folded) recorded.winograd(conv, part);
    if (part === 'weightGradient' && !folded) recorded.chunk(conv);
    return recorded;
  }

  times(layer: Layer, candidates: readonly Choices[]): Promise<number[]> {
    const { conv, part } = layer;
    this.timed.push(`${conv.height} ${part}`);
    return Promise.resolve(
      candidates.map((choices) =>
        this.time(layer, {
          folded: choices.folded(conv, [conv]),
          winograd: choices.winograd(conv, part === 'whole' ? 'forward' : part),
          chunk: choices.chunk(conv),
        }),
      ),
    );
  }
}

const run = (bench: LayerBench, options: Partial<TuneOptions> = {}) =>
  tune({
    graphs: [[over([conv(14, 128), conv(14, 128)])]],
    base: plainest,
    known: noChoices,
    bench,
    ...options,
  });

describe('tune', () => {
  const map = '16x14x14 over 128>128 3x3/1';
  const layer = '16x14x14 128>128 3x3/1';

  it('Winograd is measured on folded maps; the map is folded where the layers so lowered are faster', async () => {
    const bench = new FakeBench((_, { folded, winograd }) => (folded && winograd ? 50 : 100));
    expect(await run(bench)).to.deep.equal({
      folded: { [map]: true },
      winograd: {
        [`${layer} forward`]: true,
        [`${layer} inputGradient`]: true,
        [`${layer} weightGradient`]: true,
      },
      chunk: {},
    });
    // Both layers are of one kind. What wins is measured again.
    expect(bench.timed).to.deep.equal([
      ...['14 forward', '14 forward', '14 inputGradient', '14 inputGradient'],
      ...['14 weightGradient', '14 weightGradient', '14 whole', '14 whole'],
    ]);
  });

  it('the fastest chunk of a blocked weight gradient', async () => {
    const bench = new FakeBench((_, { folded, chunk }) => (folded ? 100 : Math.abs(chunk - 4) + 10));
    const { folded, chunk } = await run(bench);
    expect({ folded, chunk }).to.deep.equal({ folded: { [map]: false }, chunk: { [layer]: 4 } });
  });

  it('less than 5 % faster: what is built in stays, and is known from then on', async () => {
    const bench = new FakeBench((_, { folded, winograd, chunk }) =>
      folded || winograd || chunk > 1 ? 96 : 100,
    );
    expect(await run(bench)).to.deep.equal({
      folded: { [map]: false },
      winograd: {
        [`${layer} forward`]: false,
        [`${layer} inputGradient`]: false,
        [`${layer} weightGradient`]: false,
      },
      chunk: { [layer]: 1 },
    });
  });

  it('faster once, but not a second time: noise, which changes nothing', async () => {
    let measured = 0;
    const bench = new FakeBench((_, { chunk }) => (chunk === 4 && measured++ === 0 ? 50 : 100));
    const graphs = [[over([conv(56, 64)])]];
    expect((await run(bench, { graphs })).chunk).to.deep.equal({ '16x56x56 64>64 3x3/1': 1 });
    expect(measured).to.equal(2);
  });

  it('a map over which eight layers lose more by folding than a ninth one wins is not folded', async () => {
    const wide = conv(8, 512, { kernel: 1 });
    const narrow = conv(8, 256, { kernel: 1 });
    const bench = new FakeBench(({ conv }, { folded }) => (!folded ? 100 : conv === wide ? 50 : 110));
    const folds = async (count: number) => {
      const layers = [wide, ...Array<ConvSize>(count).fill(narrow)];
      return Object.values((await run(bench, { graphs: [[over(layers)]] })).folded);
    };
    expect(await folds(8)).to.deep.equal([false]);
    expect(await folds(2)).to.deep.equal([true]);
  });

  it('what is known is not measured again, in another graph either', async () => {
    const bench = new FakeBench(() => 1);
    const graph = [over([conv(14, 128)])];
    const known = await run(bench, { graphs: [graph] });
    const { length } = bench.timed;
    expect(await run(bench, { graphs: [graph, graph], known })).to.deep.equal(known);
    expect(bench.timed).to.have.length(length);
  });

  it('large maps of few channels are not folded, the smallest ones not blocked: no measurement of the layers', async () => {
    const bench = new FakeBench(() => 1);
    await run(bench, { graphs: [[over([conv(56, 64)])]] });
    await run(bench, { graphs: [[over([conv(2, 512)])]], base: { ...plainest, folded: () => true } });
    expect(bench.timed).to.deep.equal(['56 weightGradient']);
  });

  it('when the time is over what is left is as it was', async () => {
    let now = 0;
    const bench = new FakeBench((_, { chunk }) => ((now += 10), 100 / chunk));
    const graphs = [[over([conv(56, 64)]), over([conv(28, 64, { kernel: 1 })])]];
    const { chunk } = await run(bench, { graphs, budget: 20, now: () => now });
    expect(chunk).to.deep.equal({ '16x56x56 64>64 3x3/1': 4 });
  });
});
