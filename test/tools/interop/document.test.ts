import { expect } from 'chai';
import { UsageError } from '../../../src/errors.js';
import { withTable } from '../../../tools/interop/document.js';
import { complaint } from '../../../tools/interop/environment.js';

const rows = [
  ['model', 'tract, 0.23'],
  ['resnet20', '1.0e-7'],
];

describe('tools/interop: the table of a document', () => {
  it('stands between the marks, whatever stood there', () => {
    const table = '| model | tract, 0.23 |\n| --- | --- |\n| resnet20 | 1.0e-7 |';
    const text = withTable('before\n<!-- interop -->old<!-- /interop -->\nafter\n', rows, 'deploy.md');
    expect(text).to.equal(`before\n<!-- interop -->\n\n${table}\n\n<!-- /interop -->\nafter\n`);
    expect(withTable(text, rows, 'deploy.md')).to.equal(text);
  });

  it('is refused where a document has no place for it', () => {
    expect(() => withTable('# Deploy', rows, 'deploy.md')).to.throw(UsageError, 'deploy.md has no place');
  });
});

describe('tools/interop: what a process complains of', () => {
  it('is the last line that names an error, else the last one with words', () => {
    expect(complaint('Traceback:\nValueError: no such layer\n  > \n')).to.equal('ValueError: no such layer');
    expect(complaint('loading\n-- \n')).to.equal('loading');
    expect(complaint('')).to.equal(undefined);
  });
});
