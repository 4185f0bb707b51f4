import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { performRun } from '../../src/ablation/run.js';
import { openLabelledImages } from '../../src/evaluation/labelledImages.js';
import { rejection } from '../support/rejection.js';
import { tinyConfig } from '../training/tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

describe('an abort while images are looked for', () => {
  let folder: string;
  before(() => (folder = mkdtempSync(join(tmpdir(), 'slimclr-aborted-'))));
  after(() => removeFolder(folder));
  const reason = new Error('stop');
  const signal = AbortSignal.abort(reason);

  it('ends a run of an ablation as interrupted; without it the empty folder is an error', async () => {
    const run = {
      variant: 'all',
      seed: 0,
      folder: join(folder, 'run'),
      index: 1,
      count: 1,
      secondsLeft: null,
    };
    expect(await performRun(run, tinyConfig(folder), { evaluation: {}, signal })).to.equal(null);
    const error = await rejection(performRun(run, tinyConfig(folder), { evaluation: {} }));
    expect(error.message).to.match(/^no images in /);
  });

  it('ends an evaluation with the reason', async () => {
    const test = { testSource: 'cifar10', signal };
    expect(await rejection(openLabelledImages(tinyConfig(folder), test))).to.equal(reason);
  });
});
