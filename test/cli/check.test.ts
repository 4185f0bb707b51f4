import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { CheckResult } from '../../src/check/results.js';
import { encodeModel } from '../../src/onnx/model.js';
import { smallModel } from '../check/smallModel.js';
import { slimclr } from './slimclr.js';
import { removeFolder } from '../support/removeFolder.js';

describe('slimclr check', function () {
  this.timeout(60_000);
  let parent: string;
  const path = (...names: string[]) => join(parent, ...names);
  before(async () => {
    parent = await mkdtemp(join(tmpdir(), 'slimclr-check-cli-'));
    await mkdir(path('old'));
    await mkdir(path('new'));
    await writeFile(path('old/small.onnx'), encodeModel(smallModel()));
    await writeFile(path('new/small.onnx'), encodeModel(smallModel({ shift: 0.1 })));
  });
  after(() => removeFolder(parent));

  it('--update, then the same models: exit code 0; others: 1, with the table, as JSON, Markdown and JUnit XML', async () => {
    const update = await slimclr('check', path('old'), '--against', path('golden'), '--update');
    expect(update).to.include({ code: 0, stdout: `${path('golden')}: files written: 5, removed: 0\n` });
    expect(update.stderr).to.include('no images are given: the models run on drawn ones');

    const against = ['--against', path('golden'), '--no-latency'];
    const [same, table, json, markdown] = await Promise.all([
      slimclr('check', path('old'), ...against),
      slimclr('check', path('new'), ...against),
      slimclr('check', path('new/small.onnx'), ...against, '--json', '--junit', path('result.xml')),
      slimclr('check', path('new'), ...against, '--markdown', '--tolerance', '10'),
    ]);
    expect(same.code, same.stderr).to.equal(0);
    expect(same.stdout).to.match(/^3 checks of 1 model, 0 failed$/m);
    expect(table.code, table.stderr).to.equal(1);
    expect(table.stdout).to.match(/^small\.onnx +numerics features +\S+ +1\.0e-3 +failed$/m);
    expect(table.stdout).to.match(/^small\.onnx: largest difference at .*$/m);
    expect(table.stdout).to.match(/^3 checks of 1 model, 1 failed; --update accepts the new models\n$/m);
    expect(json.code, json.stderr).to.equal(1);
    const result = JSON.parse(json.stdout) as CheckResult;
    expect(result).to.include({ kind: 'check', version: 1, passed: false });
    expect(result.rows.map(({ item, status }) => [item, status])).to.deep.equal([
      ['graph', 'passed'],
      ['features', 'failed'],
      ['bytes', 'passed'],
    ]);
    expect(await readFile(path('result.xml'), 'utf8')).to.include('tests="3" failures="1"');
    expect(markdown).to.include({ code: 0 });
    expect(markdown.stdout).to.match(/^### ✅ /);
  });

  it('wrong usage: exit code 2, one line', async () => {
    const outcomes = await Promise.all([
      slimclr('check', path('old')),
      slimclr('check', path('nowhere'), '--against', path('old')),
      slimclr('check', path('old'), '--against', path('old'), '--json', '--markdown'),
      slimclr('check', path('old'), '--against', path('old'), '--no-models'),
      slimclr('check', path('old'), '--against', path('old'), '--mean', '1,2'),
      slimclr('check', path('old'), '--against', path('old'), '--latency-ratio=-1'),
    ]);
    for (const { code, stderr, stdout } of outcomes) {
      expect({ code, stdout }).to.deep.equal({ code: 2, stdout: '' });
      expect(stderr).to.match(/^slimclr: [^\n]*\n$/);
    }
  });
});
