import { expect } from 'chai';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defaultTable, readTable, variantsOf } from '../../src/ablation/variants.js';
import { loadConfig } from '../../src/config/load.js';
import { UsageError } from '../../src/errors.js';
import { rejection } from '../support/rejection.js';
import { tinyConfig } from '../training/tinyConfig.js';

const base = loadConfig({ preset: 'cifar10-resnet20' });

describe('variants of a config', () => {
  it('default table: none of the techniques, each alone as in the base, all', () => {
    const techniques = variantsOf(base, defaultTable).map(({ name, config }) => {
      const { slowStart, distillation, reweighting } = config.techniques;
      return [name, slowStart.kind, distillation.kind, reweighting.kind];
    });
    expect(techniques).to.deep.equal([
      ['naive', 'none', 'none', 'none'],
      ['slow-start', 'full-width-first', 'none', 'none'],
      ['distillation', 'none', 'kd-logits', 'none'],
      ['reweighting', 'none', 'none', 'sum-of-others'],
      ['all', 'full-width-first', 'kd-logits', 'sum-of-others'],
    ]);
    const [slow, all] = variantsOf(base, defaultTable, ['all', 'slow-start']);
    expect([slow!.name, all!.name], 'the order of the table').to.deep.equal(['slow-start', 'all']);
    expect(slow!.config.techniques.slowStart).to.deep.equal(base.techniques.slowStart);
    expect(all!.config).to.deep.equal(base);
  });

  for (const [what, message, make] of [
    [
      'an unknown variant',
      'unknown variant "nave"; accepted: naive, slow-start, distillation, reweighting, all',
      () => variantsOf(base, defaultTable, ['nave']),
    ],
    [
      'a base of a single width',
      'widths holds 1 alone, and the techniques are for sub-networks; accepted: at least two widths',
      () => variantsOf(tinyConfig('images', { widths: [1] }), defaultTable),
    ],
    [
      'a base without slow start',
      'variants "naive" and "slow-start" have the same config; accepted: ',
      () =>
        variantsOf(
          { ...base, techniques: { ...base.techniques, slowStart: { kind: 'none' } } },
          defaultTable,
        ),
    ],
    [
      'a contradiction in a variant',
      'variant "late": config: techniques.slowStart.epochs 200 is not below epochs 200, ',
      () => variantsOf(base, { late: ['techniques.slowStart.epochs=200'] }),
    ],
    [
      'a variant that sets the seed',
      'variant "other" sets seed, ',
      () => variantsOf(base, { other: ['seed=5'] }),
    ],
    [
      'a name that leaves the folder',
      'variant "../up" cannot name a folder; ',
      () => variantsOf(base, { '../up': [] }),
    ],
  ] as const) {
    it(`${what} is refused`, () => {
      expect(make).to.throw(UsageError, message);
    });
  }

  it('a distillation of sub-networks at a single width is refused', () => {
    const table = { single: ['widths=[1]', 'techniques.distillation.teachers=larger'] };
    expect(() => variantsOf(base, table)).to.throw(UsageError, 'needs a sub-network to teach');
  });

  it('a table from a file; what is no table is refused in one line', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'slimclr-table-'));
    try {
      const file = join(folder, 'table.json');
      writeFileSync(file, '{"a": ["epochs=3"], "b": []}');
      expect(await readTable(file)).to.deep.equal({ a: ['epochs=3'], b: [] });
      writeFileSync(file, '\ufeff{"a": []}');
      expect(await readTable(file)).to.deep.equal({ a: [] });
      for (const [text, message] of [
        ['{', /is not JSON/],
        ['{"a": [\n  "epochs=3",\n]}', /is not JSON/],
        ['[]', /holds no JSON object; accepted: /],
        ['{"a": "epochs=3"}', /"a" is "epochs=3"; accepted: /],
      ] as const) {
        writeFileSync(file, text);
        const error = await rejection(readTable(file));
        expect(error).to.be.instanceOf(UsageError);
        expect(error.message).to.match(message).and.not.contain('\n');
      }
      expect((await rejection(readTable(join(folder, 'none')))).message).to.match(/cannot be read/);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
