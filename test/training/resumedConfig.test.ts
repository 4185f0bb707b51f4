import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { configSchema } from '../../src/config/schema.js';
import { resumedConfig } from '../../src/training/resumedConfig.js';

describe('config of a run that is resumed', () => {
  it('begun with several replicas before method.shuffleKeys: off, unless it is set', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slimclr-resumed-config-'));
    try {
      const { method, ...rest } = configSchema.parse({ accumulation: 2, runtime: { replicas: 2 } });
      const { shuffleKeys: _, ...before } = method as typeof method & { readonly shuffleKeys: string };
      const write = (config: object) =>
        writeFileSync(join(folder, 'config.json'), `${JSON.stringify(config)}\n`);
      const shuffleKeys = async (set: readonly string[] = []) =>
        (await resumedConfig(folder, { set })).method as { readonly shuffleKeys?: string };
      write({ ...rest, method: before });
      expect(await shuffleKeys()).to.deep.equal({ ...before, shuffleKeys: 'off' });
      expect(await shuffleKeys(['method.shuffleKeys=on'])).to.deep.equal({ ...before, shuffleKeys: 'on' });
      write({ ...rest, method });
      expect(await shuffleKeys()).to.deep.equal(method);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
