import { lstat, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { summarizeModel, summarizePrograms } from '../../src/golden/summary.js';
import { buildPrograms, emitMethod } from '../../src/methods/index.js';
import { rejection } from '../support/rejection.js';
import { tinyConfig } from '../programs/tiny.js';

describe('golden/summary', () => {
  const { programs } = emitMethod(tinyConfig());
  const { model } = programs.find(({ entry }) => entry.name === 'embed.w1.00')!;

  it('embed of ResNet-20 on 8x8 pixels: operators, parameters and products counted by hand', () => {
    const summary = summarizeModel(model);
    // 21 convolutions: the stem, 18 in blocks, 2 projections; each with gamma, beta, mean and variance.
    expect(Object.fromEntries(summary.operators)).to.include({
      Conv: 21,
      BatchNormalization: 21,
      Relu: 19,
      Add: 9,
    });
    expect(summary.operators[0]).to.deep.equal(['BatchNormalization', 21]);
    expect(summary.nodes).to.equal(72);
    const stem = 27 * 16;
    const stages = [16, 32, 64].map((c, i) => (i === 0 ? 6 : 5.5) * 9 * c * c + (i === 0 ? 0 : (c * c) / 2));
    const channels = 7 * (16 + 32 + 64);
    expect(summary.parameters).to.equal(stem + stages.reduce((a, b) => a + b) + 4 * channels);
    const products = stem * 64 + stages[0]! * 64 + stages[1]! * 16 + stages[2]! * 4;
    expect(summary.productFlops).to.equal(2 * products);
  });

  it('inputs that the file brings along are marked', () => {
    const defaults = new Map(summarizeModel(model).inputs.map(({ name, hasDefault }) => [name, hasDefault]));
    expect(defaults.get('images')).to.equal(false);
    expect(defaults.get('encoder.conv1.weight')).to.equal(true);
  });

  it('a product whose operand has no stated type: the FLOPs are unknown, not too few', () => {
    expect(summarizeModel({ ...model, values: [] }).productFlops).to.equal(undefined);
  });

  it('a folder: each graph of the manifest with the nodes of its file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'slimclr-summary-'));
    try {
      await buildPrograms(tinyConfig(), folder);
      const summary = await summarizePrograms(folder);
      expect(summary.programs.map(({ entry, nodes }) => [entry.name, nodes])).to.deep.equal(
        programs.map(({ entry, model }) => [entry.name, model.nodes.length]),
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('a manifest that names what is elsewhere, and files that are links: refused; written over, not followed', async function () {
    if (process.platform === 'win32') this.skip();
    const root = await mkdtemp(join(tmpdir(), 'slimclr-summary-'));
    const folder = join(root, 'programs');
    try {
      await buildPrograms(tinyConfig(), folder);
      const manifest = join(folder, 'manifest.json');
      const text = await readFile(manifest, 'utf8');
      for (const file of ['/dev/zero', '../victim', '..', 'a/b']) {
        await writeFile(manifest, text.replace('"update.onnx"', JSON.stringify(file)));
        expect((await rejection(summarizePrograms(folder))).message).to.match(
          /manifest\.json: graphs\[\d+\]\.file is ".*"; accepted: the plain name of a file in the same folder$/,
        );
      }
      await writeFile(manifest, text);
      await writeFile(join(root, 'victim'), 'untouched');
      const links = ['update.onnx', 'weights.safetensors'].map((name) => join(folder, name));
      for (const link of links) {
        await rm(link);
        await symlink('../victim', link);
      }
      expect((await rejection(summarizePrograms(folder))).message).to.contain(
        'update.onnx is a link; accepted: a regular file',
      );
      await buildPrograms(tinyConfig(), folder);
      expect(await readFile(join(root, 'victim'), 'utf8')).to.equal('untouched');
      for (const link of links) expect((await lstat(link)).isFile(), link).to.equal(true);
    } finally {
      await rm(root, { recursive: true });
    }
  });
});
