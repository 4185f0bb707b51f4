import { expect } from 'chai';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sha256, sha256File } from '../../src/onnx/hash.js';
import { removeFolder } from '../support/removeFolder.js';

describe('onnx/hash', () => {
  let folder: string;
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'slimclr-hash-'));
  });
  after(() => removeFolder(folder));

  it('SHA-256 of a file equals that of its bytes and the published value for "abc"', async () => {
    const published = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    const path = join(folder, 'abc');
    await writeFile(path, 'abc');
    expect(await sha256File(path)).to.equal(published);
    expect(sha256('abc')).to.equal(published);
    expect(sha256(Buffer.from('abc'))).to.equal(published);
  });
});
