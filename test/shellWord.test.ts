import { expect } from 'chai';
import { execFileSync } from 'node:child_process';
import { shellWord } from '../src/shellWord.js';

describe('shellWord', () => {
  const words = ['runs/a', 'my runs/ä', "it's", '~', '$HOME', 'a;b', '', '*', '"', '\\', 'two\nlines'];

  it('a shell reads every word as it was', function () {
    if (process.platform === 'win32') return this.skip();
    const command = `printf '%s\\0' ${words.map((word) => shellWord(word)).join(' ')}`;
    expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' }).split('\0')).to.deep.equal([
      ...words,
      '',
    ]);
  });

  it('a word without need stays as it is; Windows has double quotes', () => {
    expect(shellWord('runs/first-1.0')).to.equal('runs/first-1.0');
    expect(shellWord('C:\\my runs', 'win32')).to.equal('"C:\\my runs"');
    expect(shellWord('C:\\runs', 'win32')).to.equal('C:\\runs');
  });
});
