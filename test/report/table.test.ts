import { expect } from 'chai';
import { trainingHistory } from '../../src/report/history.js';
import type { Run } from '../../src/report/run.js';
import { formatCount } from '../../src/formatCount.js';
import { summaryTable } from '../../src/report/table.js';
import { exampleConfig, exampleExport, exampleKnn, exampleProbe } from './exampleRun.js';

const run: Run = {
  folder: 'runs/example',
  config: exampleConfig,
  history: trainingHistory([]),
  knn: exampleKnn,
  probe: exampleProbe,
  export: exampleExport,
  otherProbes: [],
  finetunes: [],
  diagnosis: undefined,
  measured: { models: [] },
  notes: [],
};

describe('summaryTable', () => {
  it('all results: one aligned line a width, gains signed', () => {
    expect(summaryTable(run)).to.equal(
      [
        '                                  kNN top-1, %            linear probe top-1, %',
        'width  parameters  multiply-adds  trained  random   gain  trained  random   gain  file size   latency',
        ' 1.00       271 k         40.6 M     52.3    34.4  +17.9     55.4    37.1  +18.3    1.10 MB   1.23 ms',
        ' 0.75       153 k         22.9 M     51.2    33.9  +17.3     53.8    36.2  +17.6     633 kB  0.912 ms',
        ' 0.50      68.5 k         10.3 M     48.7    33.1  +15.6     49.7    34.4  +15.3     294 kB  0.523 ms',
        ' 0.25      17.4 k         2.65 M     43.1    30.2  +12.9     40.2    41.3   -1.1    86.2 kB  0.300 ms',
        '',
      ].join('\n'),
    );
  });

  it('kNN of the trained encoder only, no export: a dash for what is not known', () => {
    const [full] = exampleKnn.widths;
    const knn = { ...exampleKnn, widths: [{ label: 'w1.00', width: 1, trained: full!.trained }] };
    const table = summaryTable({ ...run, config: undefined, knn, probe: undefined, export: undefined });
    expect(table.split('\n').slice(2)).to.have.length(2);
    expect(table.split('\n')[2]!.trim().split(/\s+/)).to.deep.equal(['1.00', '-', '-', '52.3', '-', '-', '-', '-', '-', '-', '-']); // prettier-ignore
  });
});

describe('formatCount', () => {
  it('three significant digits, the prefix chosen after rounding', () => {
    expect([0, 64, 999, 1000, 17_444, 999_499, 999_600, 4.1e9].map(formatCount)).to.deep.equal([
      '0 ',
      '64 ',
      '999 ',
      '1.00 k',
      '17.4 k',
      '999 k',
      '1.00 M',
      '4.10 G',
    ]);
  });
});
