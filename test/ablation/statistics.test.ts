import { expect } from 'chai';
import type { AblationRun } from '../../src/ablation/results.js';
import { expectedSeconds, gradientMeans, spreadOf, summarize } from '../../src/ablation/statistics.js';
import { ablationTables } from '../../src/ablation/tables.js';
import type { History } from '../../src/report/history.js';
import { tinyConfig } from '../training/tinyConfig.js';

const run = (variant: string, seed: number, knn: number, ratio: number | null): AblationRun => {
  const widths = (top1: number) => [
    { label: 'w1.00', width: 1, trained: { top1, top5: 1 } },
    { label: 'w0.50', width: 0.5, trained: { top1: top1 / 2, top5: 1 } },
  ];
  return {
    variant,
    seed,
    trainingSeconds: 50,
    evaluationSeconds: 10 + seed,
    knn: widths(knn),
    ridge: widths(knn + 0.1),
    gradients: { ratio, cosine: null },
  };
};

describe('statistics of an ablation', () => {
  it('2, 4, 9: mean 5, standard deviation of the sample sqrt(13)', () => {
    const { mean, std } = spreadOf([2, 4, 9])!;
    expect(mean).to.equal(5);
    expect(std).to.be.closeTo(Math.sqrt(13), 1e-12);
  });

  it('one value has no standard deviation, none has no mean', () => {
    expect(spreadOf([3])).to.deep.equal({ mean: 3, std: null });
    expect(spreadOf([])).to.equal(null);
  });

  it('runs of two seeds and of one: variants in the order of the table, those without a run left out', () => {
    const runs = [run('all', 1, 0.5, 2), run('naive', 0, 0.25, null), run('all', 0, 0.3, 4)];
    const [naive, all, ...others] = summarize(['naive', 'distillation', 'all'], runs);
    expect(others).to.deep.equal([]);
    expect(naive).to.deep.include({ name: 'naive', seeds: [0], ratio: null, cosine: null });
    expect(naive!.widths[1]!.knn).to.deep.equal({ mean: 0.125, std: null });
    expect(all).to.deep.include({ name: 'all', seeds: [0, 1] });
    expect(all!.widths[0]!.knn.mean).to.be.closeTo(0.4, 1e-12);
    expect(all!.widths[0]!.knn.std).to.be.closeTo(0.2 / Math.SQRT2, 1e-12);
    expect(all!.ratio!.mean).to.equal(3);
    expect(all!.seconds.mean).to.equal(60.5);
    const [knn, ridge, gradients] = ablationTables({ variants: [naive!, all!] });
    expect(knn!.rows).to.deep.equal([
      ['variant', 'seeds', '1.00', '0.50'],
      ['naive', '1', '25.0', '12.5'],
      ['all', '2', '40.0 ± 14.1', '20.0 ± 7.1'],
    ]);
    expect(ridge!.rows[1]).to.deep.equal(['naive', '1', '35.0', '17.5']);
    expect(gradients!.rows.slice(1)).to.deep.equal([
      ['naive', '-', '-', '1 min 00 s'],
      ['all', '3.000 ± 1.414', '-', '1 min 01 s'],
    ]);
  });

  it('expected time: the mean of the variant, of all where it has no run; null of no runs', () => {
    const runs = [run('all', 0, 0, null), run('all', 4, 0, null), run('naive', 8, 0, null)];
    expect(expectedSeconds(['all', 'naive', 'distillation'], runs)).to.equal(62 + 68 + 64);
    expect(expectedSeconds([], runs)).to.equal(0);
    expect(expectedSeconds(['all'], [])).to.equal(null);
  });

  it('gradients: means over the later half, of the narrowest width, without what is not finite', () => {
    const config = tinyConfig('images', { widths: [1, 0.5, 0.25], epochs: 2 });
    const at = (step: number, ratio: number | null, cosine: number) => ({
      step,
      diagnostics: {
        gradientNorms: {
          'w0.50': { region: 1, rest: 1, ratio: 100 },
          'w0.25': { region: 1, rest: 1, ratio },
        },
        cosines: [
          { wide: 'w1.00', narrow: 'w0.50', cosine: 100, layers: {} },
          { wide: 'w1.00', narrow: 'w0.25', cosine, layers: {} },
        ],
        layerNorms: {},
      },
    });
    const history = {
      start: { config, stepsPerEpoch: 10 },
      diagnostics: [at(9, 50, 50), at(10, 1, 0.25), at(14, null, 0.5), at(18, 3, 0.75)],
    } as unknown as History;
    expect(gradientMeans(history)).to.deep.equal({ ratio: 2, cosine: 0.5 });
    expect(gradientMeans({ ...history, diagnostics: [] })).to.deep.equal({ ratio: null, cosine: null });
  });
});
