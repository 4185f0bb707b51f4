import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expect } from 'chai';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { exportRun } from '../../src/export/exportRun.js';
import { makeTinyRun, type TinyRun } from './tinyRun.js';
import { removeFolder } from '../support/removeFolder.js';

describe('a run folder that cannot be written to', function () {
  this.timeout(60_000);
  let run: TinyRun;
  const notices: string[] = [];
  const onNotice = (line: string) => notices.push(line);
  beforeEach(async () => {
    run = await makeTinyRun();
    notices.length = 0;
    // Where the folders of results and of features would be there are files: permissions do not stop every user.
    for (const name of ['features', 'results']) await writeFile(join(run.folder, name), '');
  });
  afterEach(() => removeFolder(dirname(run.folder)));

  it('kNN: the result all the same, a notice for the features and one for the result', async () => {
    const { widths } = await evaluateKnn(run.folder, {
      testSource: run.test,
      baseline: true,
      k: 5,
      onNotice,
    });
    expect(widths.map(({ trained }) => trained.top1)).to.deep.equal([1, 1]);
    expect(notices).to.have.lengthOf(2);
    expect(notices[0]).to.match(/^features, which the next evaluation will compute again, not written: E/);
    expect(notices[1]).to.match(/^results\/knn\.json not written: E/);
  });

  it('probe: a notice for its classifiers, too', async () => {
    const { widths } = await evaluateProbe(run.folder, { testSource: run.test, epochs: 20, onNotice });
    expect(widths.map(({ trained }) => trained.top1)).to.deep.equal([1, 1]);
    expect(notices.map((line) => line.slice(0, line.indexOf(' not written')))).to.deep.equal([
      'features, which the next evaluation will compute again,',
      'results/probe.safetensors',
      'results/probe.json',
    ]);
  });

  it('export to another folder: the models all the same', async () => {
    const output = join(dirname(run.folder), 'models');
    await exportRun(run.folder, { output, onNotice });
    expect((await readdir(output)).sort()).to.deep.equal([
      'README.md',
      'manifest.json',
      'resnet20.w0.50.onnx',
      'resnet20.w1.00.onnx',
    ]);
    expect(notices).to.have.lengthOf(1);
    expect(notices[0]).to.match(/^results\/export\.json not written: E/);
  });

  it('nobody is told: no notice is no error', async () => {
    expect((await evaluateKnn(run.folder, { testSource: run.test })).widths).to.have.lengthOf(2);
  });

  it('a result that is written again and again: no notice', async () => {
    for (const name of ['features', 'results']) await rm(join(run.folder, name));
    await mkdir(join(run.folder, 'results'));
    for (let i = 0; i < 2; i++) await evaluateKnn(run.folder, { testSource: run.test, onNotice });
    expect(notices).to.be.empty;
  });
});
