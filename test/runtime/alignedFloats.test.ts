import { expect } from 'chai';
import koffi from 'koffi';
import { alignedFloats } from '../../src/runtime/alignedFloats.js';

describe('alignedFloats', () => {
  it('zeros, as many as wanted', () => {
    for (const length of [0, 1, 16384, 16385]) {
      const floats = alignedFloats(length);
      expect(floats).to.have.length(length);
      expect(floats.every((x) => x === 0)).to.equal(true);
    }
  });

  it('start at a cache line', function () {
    if (process.platform !== 'linux') this.skip();
    // Copies nothing; what it returns is where its first argument lies.
    const memcpy = koffi.load('libc.so.6').func('void *memcpy(void *, const void *, size_t)');
    for (const length of [1, 1000, 100000]) {
      const floats = alignedFloats(length);
      expect(koffi.address(memcpy(floats, floats, 0)) % 64n).to.equal(0n);
    }
  });
});
