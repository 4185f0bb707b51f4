import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { Candidates } from '../../src/export/candidates.js';
import type { ExportManifest, ManifestModel } from '../../src/export/manifest.js';
import { plainForm } from '../../src/export/form.js';
import { preprocessingOf } from '../../src/export/preprocessing.js';
import type { Chart, LineChart } from '../../src/report/charts.js';
import { readMeasuredModels } from '../../src/report/measuredModels.js';
import { readRun } from '../../src/report/run.js';
import { precisionBlocks } from '../../src/report/sections/precisions.js';
import { exampleCandidates, exampleConfig, writeRun } from './exampleRun.js';
import { removeFolder } from '../support/removeFolder.js';

describe('exported models by width and precision', () => {
  let root: string;
  beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'slimclr-run-'))));
  afterEach(() => removeFolder(root));

  const { outputs: maps, shared: _, ...form } = plainForm;
  const exported = (file: string, others: Partial<ManifestModel>): ManifestModel => ({
    file,
    ...{ sha256: 'f'.repeat(64), externalData: null, encoder: 'resnet20', method: 'moco-v2' },
    checkpoint: exampleCandidates.checkpoint,
    ...form,
    maps: [...maps],
    ...{ classes: null, opset: 11, irVersion: 6, inputs: [], outputs: [] },
    preprocessing: preprocessingOf(exampleConfig.data, plainForm),
    maxRelativeError: null,
    ...exampleCandidates.models[0]!,
    ...others,
  });
  const write = (models: readonly ManifestModel[], candidates?: Candidates) => {
    writeRun(root, { log: '', ...(candidates && { results: { candidates } }) });
    mkdirSync(join(root, 'export'));
    const { checkpoint } = exampleCandidates;
    const run = { name: 'run', encoder: 'resnet20', method: 'moco-v2', checkpoint };
    const manifest: ExportManifest = { kind: 'slimclr-export', version: 1, slimclr: '0.1.0', run, models };
    writeFileSync(join(root, 'export', 'manifest.json'), JSON.stringify(manifest));
  };

  it('of the manifest: the plain model of each width and precision, of the newest checkpoint', async () => {
    write([
      exported('a', { bytes: 1 }),
      exported('b', { bytes: 2, classifier: 'features' }),
      exported('c', { bytes: 3, width: 0.5, classifier: 'features' }),
      exported('d', { bytes: 4, precision: 'int8' }),
      exported('e', { bytes: 5, width: 0.25, checkpoint: 'd'.repeat(64) }),
      exported('f', { bytes: 6, width: 0.25, size: 64 }),
      exported('g', { bytes: 7, width: 0.25, input: 'uint8-nhwc' }),
    ]);
    const notes: string[] = [];
    const { models, choice } = await readMeasuredModels(root, notes);
    expect(models.map(({ bytes }) => bytes)).to.deep.equal([1, 4, 3]);
    expect(choice).to.equal(undefined);
    expect(notes).to.deep.equal([]);
  });

  it('candidates stand for exported models; those of another checkpoint are left out', async () => {
    write([exported('a', { bytes: 1 })], exampleCandidates);
    const { models, choice } = await readMeasuredModels(root, []);
    expect(models).to.deep.equal(exampleCandidates.models);
    expect(choice!.chosen).to.deep.equal({ width: 1, precision: 'int8' });
    const other = { ...exampleCandidates, checkpoint: 'd'.repeat(64) };
    writeFileSync(join(root, 'results', 'candidates.json'), JSON.stringify(other));
    expect(await readMeasuredModels(root, [])).to.deep.include({ models: [exported('a', { bytes: 1 })] });
  });

  it('damaged files: left out with a note', async () => {
    write([exported('a', { width: 3 })], { ...exampleCandidates, version: 2 as 1 });
    const notes: string[] = [];
    expect(await readMeasuredModels(root, notes)).to.deep.equal({ models: [] });
    expect(notes).to.deep.equal([
      'export/manifest.json was left out: models[0].width is 3; accepted: a number <= 1.',
      'results/candidates.json was left out: version is 2; accepted: 1.',
    ]);
  });

  it('the report: every model, the chosen one marked, a line for each precision', async () => {
    const run = await readRun(writeRun(root, { log: '', results: { candidates: exampleCandidates } }));
    const [, table, sentence, charts] = precisionBlocks(run);
    const rows = (table as { html: string }).html.split('<tr>').slice(2);
    expect(rows).to.have.lengthOf(8);
    expect(rows.filter((row) => row.includes('✓'))).to.deep.equal([rows[1]]);
    expect(rows[1]).to.contain('<td>int8</td>').and.to.contain('<td>51.9</td>');
    expect((sentence as { text: string }).text).to.equal(
      'Of a budget of 0.7 ms, the marked model was exported.',
    );
    const drawn = charts as { readonly charts: readonly Chart[] };
    const chart = drawn.charts[0] as LineChart;
    expect(chart.series.map(({ name, points }) => [name, points.length])).to.deep.equal([
      ['float32', 4],
      ['int8', 4],
    ]);
  });

  it('models in float32 alone, and no budget: nothing that the other charts do not say', async () => {
    write([exported('a', {})]);
    expect(precisionBlocks(await readRun(root))).to.deep.equal([]);
  });
});
