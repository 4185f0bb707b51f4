import { expect } from 'chai';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { finishedRuns, writeAblation } from '../../src/ablation/files.js';
import { UsageError } from '../../src/errors.js';
import { rejection } from '../support/rejection.js';
import { chartsOf, chromium, figureOf, markCount, openPage } from '../support/browser.js';
import { exampleAblation } from './exampleAblation.js';
import { removeFolder } from '../support/removeFolder.js';

describe('writeAblation', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'slimclr-ablation-'))));
  afterEach(() => removeFolder(root));

  it('five variants, two seeds: ablation.json gives the runs back', async () => {
    const result = exampleAblation([0, 1]);
    await writeAblation(root, result);
    expect(await finishedRuns(root, result)).to.deep.equal(result.runs);
  });

  it('labels that have changed since: refused', async () => {
    const result = { ...exampleAblation([0]), labels: 'a'.repeat(64) };
    await writeAblation(root, result);
    expect(await finishedRuns(root, result)).to.deep.equal(result.runs);
    const data = { ...result.config.data, labels: '/photos/labels.csv' };
    const changed = { ...result, config: { ...result.config, data }, labels: 'b'.repeat(64) };
    await writeAblation(root, { ...changed, labels: result.labels });
    const error = await rejection(finishedRuns(root, changed));
    expect(error).to.be.instanceOf(UsageError);
    expect(error.message).to.match(
      /is an ablation by other labels than \/photos\/labels\.csv holds now; accepted/,
    );
  });

  for (const [title, seeds, bars] of [
    ['two seeds: lines, dots and bars, the variants beside each other', [0, 1], 4],
    ['one seed: lines and dots without bars', [0], 0],
    ['no run yet: empty charts', [], 0],
  ] as const) {
    it(`ablation.html in Chromium, ${title}; the console is clean`, async function () {
      if (chromium === undefined) this.skip();
      this.timeout(90_000);
      const result = exampleAblation(seeds);
      const variants = result.variants.length;
      await writeAblation(root, result);
      const { dom, console } = await openPage(join(root, 'ablation.html'), join(root, 'profile'));
      expect(console).to.deep.equal([]);
      expect(chartsOf(dom).map(({ id }) => id)).to.deep.equal(['accuracy-knn', 'accuracy-ridge']);
      for (const id of ['accuracy-knn', 'accuracy-ridge']) {
        expect(markCount(dom, id, 'line', 'path'), `lines of ${id}`).to.equal(variants);
        expect(markCount(dom, id, 'dot', 'circle'), `dots of ${id}`).to.equal(variants * 4);
        expect(markCount(dom, id, 'rule', 'line'), `bars of ${id}`).to.equal(variants * bars);
        const shifts = figureOf(dom, id).match(/(?<=aria-label="dot"[^>]* transform="translate\()[^,]*/g);
        expect(new Set(shifts).size, `places of ${id}`).to.equal(variants);
        for (const { name } of result.variants) expect(figureOf(dom, id)).to.include(`>${name}<`);
      }
    });
  }
});
