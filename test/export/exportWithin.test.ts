import { readdir, readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { UsageError } from '../../src/errors.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { candidatesSchema } from '../../src/export/candidates.js';
import { exportWithin } from '../../src/export/exportWithin.js';
import { readExportManifest } from '../../src/export/manifest.js';
import { parseJson } from '../../src/readJson.js';
import { readRun } from '../../src/report/run.js';
import { slimclr } from '../cli/slimclr.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('export by budget: ResNet-20, widths 1 and 0.5', function () {
  this.timeout(60_000);
  let run: TinyRun;
  before(async () => {
    run = await makeTinyRun();
    await evaluateKnn(run.folder, { testSource: run.test });
  });
  after(() => removeFolder(dirname(run.folder)));
  afterEach(() => removeFolder(join(run.folder, 'export')));

  const candidates = async () =>
    parseJson(await readFile(join(run.folder, 'results', 'candidates.json'), 'utf8'), candidatesSchema, '');

  it('multiply-adds: the width that fits, in the folder, its manifest and the records', async () => {
    const result = await exportWithin(run.folder, { multiplyAdds: 5e6 }, { precision: 'float32' });
    expect(result.file).to.equal('export/resnet20.w0.50.onnx');
    expect((await readdir(join(run.folder, 'export'))).sort()).to.deep.equal([
      'README.md',
      'manifest.json',
      'resnet20.w0.50.onnx',
    ]);
    const { models } = await readExportManifest(join(run.folder, 'export'));
    expect(models.map(({ file }) => file)).to.deep.equal(['resnet20.w0.50.onnx']);
    const found = await candidates();
    expect(found).to.deep.equal(result.candidates);
    expect(found.criterion).to.equal('knn');
    expect(found.chosen).to.deep.equal({ width: 0.5, precision: 'float32' });
    expect(found.budget).to.deep.equal({ milliseconds: null, bytes: null, multiplyAdds: 5e6 });
    const { knn } = await readRun(run.folder);
    const plain = found.models.filter(({ precision }) => precision === 'float32');
    expect(plain.map(({ width, accuracy }) => [width, accuracy.knn!.top1])).to.deep.equal(
      knn!.widths.map(({ width, trained }) => [width, trained.top1]),
    );
    for (const { latency } of found.models) expect(latency!.milliseconds).to.be.above(0);
    expect((await readRun(run.folder)).export!.models.map(({ file }) => file)).to.deep.equal([result.file]);
  });

  it('bytes: a model in int8, every width and precision measured on the same images', async () => {
    const { file, candidates } = await exportWithin(run.folder, { bytes: 120_000 });
    expect(candidates.models.map(({ label, precision }) => `${label} ${precision}`)).to.deep.equal([
      ...['w1.00 float32', 'w1.00 float16', 'w1.00 int8'],
      ...['w0.50 float32', 'w0.50 float16', 'w0.50 int8'],
    ]);
    expect(candidates.criterion).to.equal('knn');
    for (const { accuracy } of candidates.models) {
      expect(accuracy.knn).to.include({ source: 'test', images: 12 });
    }
    const { width, precision } = candidates.chosen!;
    expect(width).to.equal(0.5);
    expect(['float16', 'int8']).to.include(precision);
    const [described] = (await readExportManifest(join(run.folder, 'export'))).models;
    expect(described!.bytes).to.be.below(120_000);
    expect(described).to.include({ precision, file: basename(file!) });
    expect(described!.conversion!.float32.bytes).to.be.above(200_000);
  });

  it('one precision: that one alone', async () => {
    const { candidates } = await exportWithin(run.folder, { bytes: 1e9 }, { precision: 'float16' });
    expect(candidates.models.map(({ precision }) => precision)).to.deep.equal(['float16', 'float16']);
  });

  it('none fits: nothing is written, the nearest is named', async () => {
    const { file, outcome, candidates } = await exportWithin(
      run.folder,
      { bytes: 1000, multiplyAdds: 5e6 },
      { precision: 'float32' },
    );
    expect(file).to.equal(null);
    expect(candidates.chosen).to.equal(null);
    expect(outcome).to.match(/^no model fits a budget of 1.00 kB, 5.00 M multiply-adds; the nearest is w0\.50 in \w+ with \d+ kB, 2\.\d+ M multiply-adds$/); // prettier-ignore
    expect(await readdir(run.folder)).not.to.contain('export');
  });

  it('the command: a table and the chosen one, or exit code 1', async () => {
    const fits = await slimclr(
      'export',
      run.folder,
      '--max-macs',
      '5M',
      '--max-ms',
      '60000',
      '--precision',
      'float32',
    );
    expect(fits.code).to.equal(0);
    expect(fits.stdout)
      .to.match(/^\* +0\.50 +float32 /m)
      .and.to.match(/^ +1\.00 +float32 /m);
    expect(fits.stdout.trim().split('\n').at(-1)).to.contain('export/resnet20.w0.50.onnx');
    const none = await slimclr('export', run.folder, '--max-bytes', '1kB', '--precision', 'float32');
    expect(none.code).to.equal(1);
    expect(none.stdout).to.contain('0.50');
    expect(none.stderr).to.match(/^slimclr: no model fits .* the nearest is w0\.50/m);
  });

  for (const [option, value, accepted] of [
    ['--max-ms', '0', 'a number > 0'],
    ['--max-bytes', '1mb', 'bytes such as 500kB'],
    ['--max-macs', '1MB', 'a number such as 200k'],
  ] as const) {
    it(`${option} ${value}: exit code 2`, async () => {
      const { code, stderr } = await slimclr('export', run.folder, option, value);
      expect(code).to.equal(2);
      expect(stderr).to.contain(accepted);
    });
  }

  it('with what it does not go together: exit code 2', async () => {
    for (const other of [['--training'], ['--layout', 'huggingface']]) {
      const { code, stderr } = await slimclr('export', run.folder, '--max-ms', '5', ...other);
      expect(code).to.equal(2);
      expect(stderr).to.contain('--max-ms').and.to.contain(other[0]);
    }
    expect(await rejection(exportWithin(run.folder, { bytes: 1 }, { shared: true }))).to.be.instanceOf(
      UsageError,
    );
    expect(await rejection(exportWithin(run.folder, {}))).to.be.instanceOf(UsageError);
    expect(await rejection(exportWithin(run.folder, { bytes: NaN }))).to.be.instanceOf(UsageError);
  });
});
