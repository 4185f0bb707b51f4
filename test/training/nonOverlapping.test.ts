import { expect } from 'chai';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { diagnose } from '../../src/evaluation/diagnose.js';
import { evaluateFinetune } from '../../src/evaluation/evaluateFinetune.js';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { exportRun } from '../../src/export/exportRun.js';
import type { LoggedEvent } from '../../src/training/events.js';
import { pretrain } from '../../src/training/pretrain.js';
import { writeImages } from '../evaluation/tinyRun.js';
import { tinyConfig } from './tinyConfig.js';
import { removeFolder } from '../support/removeFolder.js';

describe('a run with non-overlapping weights: ResNet-20, widths 1, 0.5 and 0.25', function () {
  this.timeout(120_000);
  let folder: string;
  let run: string;
  let images: { source: string; testSource: string };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'slimclr-apart-'));
    run = join(folder, 'run');
    images = { source: join(folder, 'train'), testSource: join(folder, 'test') };
    await writeImages(images.source, 24, 1);
    await writeImages(images.testSource, 6, 2);
    const config = tinyConfig(images.source, {
      widths: [1, 0.5, 0.25],
      techniques: { weights: 'non-overlapping' },
      diagnostics: { everySteps: 9 },
    });
    expect(await pretrain({ config, runFolder: run })).to.equal('done');
  });
  after(() => removeFolder(folder));

  it('its gradients: sub-networks have nothing in common that they could agree on, the full width has with each', () => {
    const events = readFileSync(join(run, 'events.jsonl'), 'utf8').trim().split('\n');
    const measured = events
      .map((line) => JSON.parse(line) as LoggedEvent)
      .filter((event) => event.type === 'diagnostics');
    const pairs = measured.map(({ diagnostics: { cosines } }) => cosines.map((c) => `${c.wide}-${c.narrow}`));
    expect(pairs.at(-1)).to.deep.equal(['w1.00-w0.50', 'w1.00-w0.25']);
  });

  it('export: the model of each width equals the training side', async () => {
    const { models } = await exportRun(run);
    expect(models.map(({ label }) => label)).to.deep.equal(['w1.00', 'w0.50', 'w0.25']);
    for (const { label, maxRelativeError } of models) expect(maxRelativeError, label).to.be.below(1e-5);
  });

  it('kNN, probes, fine-tuning and diagnostics tell red from blue at every width', async () => {
    const knn = await evaluateKnn(run, { ...images, k: 5 });
    const probe = await evaluateProbe(run, { ...images, epochs: 20 });
    const shared = await evaluateProbe(run, { ...images, protocol: 'shared', epochs: 20 });
    const finetuned = await evaluateFinetune(run, { ...images, labels: 1, epochs: 20, batchSize: 8 });
    for (const { kind, widths } of [knn, probe, shared, finetuned]) {
      for (const { label, trained } of widths) expect(trained.top1, `${kind} ${label}`).to.equal(1);
    }
    const { diagnostics } = await diagnose(run, {});
    expect(Object.keys(diagnostics.gradientNorms)).to.deep.equal(['w1.00', 'w0.50', 'w0.25']);
  });
});
