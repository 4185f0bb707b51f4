import { expect } from 'chai';
import { parseBytes, parseCount } from '../src/units.js';

describe('numbers with units', () => {
  it('bytes: decimal and binary units', () => {
    const texts = { '4096': 4096, '12B': 12, '500kB': 500_000, '1MB': 1e6, '1.5MiB': 1.5 * 2 ** 20, '2GiB': 2 ** 31, '3KiB': 3072, '0.5GB': 5e8 }; // prettier-ignore
    for (const [text, bytes] of Object.entries(texts)) expect(parseBytes(text), text).to.equal(bytes);
  });

  it('counts: decimal prefixes', () => {
    const texts = { '4096': 4096, '200k': 200_000, '100M': 1e8, '1.5G': 1.5e9 };
    for (const [text, count] of Object.entries(texts)) expect(parseCount(text), text).to.equal(count);
  });

  it('anything else: undefined', () => {
    for (const text of ['', '0', '0MB', '-1MB', '1 MB', '1mb', '500KB', '1Mb', '1M', '1e6', '1.MB', '.5MB', '1,5MB', 'MB', '1toString', '١MB']) {
      expect(parseBytes(text), text).to.equal(undefined);
    } // prettier-ignore
    for (const text of ['', '0', '1MB', '1m', '1K', '-5M', '1 M', '1e6', 'NaN', 'Infinity']) {
      expect(parseCount(text), text).to.equal(undefined);
    }
  });
});
