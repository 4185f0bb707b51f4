import { expect } from 'chai';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { slimclrAs } from '../cli/slimclr.js';

describe('ablate under a launcher of MPI', () => {
  it('refused before anything is written', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slimclr-ablation-'));
    const env = { ...process.env, OMPI_COMM_WORLD_SIZE: '2', OMPI_COMM_WORLD_RANK: '1' };
    const output = join(folder, 'out');
    const { code, stderr } = await slimclrAs(
      { env },
      ...['ablate', '--preset', 'cifar10-resnet20', '--output', output],
    );
    expect(stderr).to.match(/^slimclr: mpirun has started several processes, [^\n]*; accepted: [^\n]*\n$/);
    expect(code).to.equal(2);
    expect(existsSync(output)).to.equal(false);
    rmSync(folder, { recursive: true });
  });
});
