import { expect } from 'chai';
import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { noChoices } from '../../src/targets/cpu/choices.js';
import { cpuTuningFiles, tuningKey } from '../../src/tuning/tuningCache.js';
import { removeFolder } from '../support/removeFolder.js';

describe('tuning cache', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-tuning-'));
  });
  afterEach(() => removeFolder(folder));

  const key = tuningKey(2, { block: 16, plainGroups: true });
  const table = { folded: { map: true }, winograd: {}, chunk: { layer: 4 } };
  const file = () => join(folder, 'tuning', readdirSync(join(folder, 'tuning'))[0]!);

  it('what was written for a key is read for it, and for no other', async () => {
    expect(await cpuTuningFiles.read(folder, key)).to.deep.equal(noChoices);
    await cpuTuningFiles.write(folder, key, table);
    expect(await cpuTuningFiles.read(folder, key)).to.deep.equal(table);
    for (const change of [
      { cpu: 'another' },
      { onnxruntime: '1.0.0' },
      { slimclr: '9.9.9' },
      { threads: 1 },
      { block: 8 },
      { plainGroups: false },
    ]) {
      expect(await cpuTuningFiles.read(folder, { ...key, ...change })).to.deep.equal(noChoices);
    }
  });

  it('measurements of other shapes stay, those of the same are replaced', async () => {
    await cpuTuningFiles.write(folder, key, table);
    await cpuTuningFiles.write(folder, key, { folded: {}, winograd: { part: true }, chunk: { layer: 8 } });
    expect(await cpuTuningFiles.read(folder, key)).to.deep.equal({
      folded: { map: true },
      winograd: { part: true },
      chunk: { layer: 8 },
    });
    expect(readdirSync(join(folder, 'tuning'))).to.have.length(1);
  });

  it('torn, of another key or with an impossible value: as if there were none, and rewritten', async () => {
    await cpuTuningFiles.write(folder, key, table);
    const whole = readFileSync(file(), 'utf8');
    for (const content of [
      whole.slice(0, -20),
      '',
      whole.replace('"threads": 2', '"threads": 3'),
      whole.replace('"layer": 4', '"layer": -4'),
      whole.replace('"version": 2', '"version": 1'),
    ]) {
      expect(content).to.not.equal(whole);
      writeFileSync(file(), content);
      expect(await cpuTuningFiles.read(folder, key)).to.deep.equal(noChoices);
    }
    await cpuTuningFiles.write(folder, key, table);
    expect(readFileSync(file(), 'utf8')).to.equal(whole);
  });
});
