import { readFile } from 'node:fs/promises';
import { expect } from 'chai';
import { ortLibrary } from '../../src/engines/ortLibrary.js';
import { probeBlockedKernels } from '../../src/engines/nchwcProbe.js';

describe('probe of the blocked kernels', () => {
  it('Linux x64: right, with blocks of 16 channels where the processor has AVX-512 and of 8 elsewhere', async function () {
    if (process.platform !== 'linux' || process.arch !== 'x64') this.skip();
    const wide = /\bavx512f\b/.test(await readFile('/proc/cpuinfo', 'utf8'));
    expect(await probeBlockedKernels({ provider: 'cpu' })).to.deep.equal({
      blockSize: wide ? 16 : 8,
      plainGroups: Number(ortLibrary().version.split('.')[1]) <= 30,
    });
  });

  it('is made once a process', async () => {
    const first = await probeBlockedKernels({ provider: 'cpu' });
    expect(await probeBlockedKernels({ provider: 'cpu' })).to.equal(first);
  });

  it('other providers: a reason', async () => {
    expect(await probeBlockedKernels({ provider: 'webgpu' })).to.deep.equal({
      reason: 'the webgpu provider has no blocked kernels',
    });
  });
});
