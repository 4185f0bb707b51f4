import { expect } from 'chai';
import { readdirSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { serveSite, type SiteServer } from '../../src/demo/serve.js';
import { openSource } from '../../src/data/source.js';
import { extractFeatures, FrozenEncoder } from '../../src/evaluation/features.js';
import { exportRun } from '../../src/export/exportRun.js';
import { readExportManifest } from '../../src/export/manifest.js';
import { Family, type FamilyManifest } from '../../src/web/index.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { rejection } from '../support/rejection.js';
import { removeFolder } from '../support/removeFolder.js';

describe('slimclr/web in Node: ResNet-20, widths 1 and 0.5', function () {
  this.timeout(60_000);
  let run: TinyRun;
  let folder: string;
  let server: SiteServer;
  let manifest: string;

  before(async () => {
    run = await makeTinyRun();
    await exportRun(run.folder, { source: run.train });
    folder = join(run.folder, 'export');
    const names = [...readdirSync(folder), 'absent.onnx'];
    server = await serveSite(new Map(names.map((name) => [name, { source: join(folder, name) }])), 0);
    manifest = new URL('manifest.json', server.url).href;
  });
  after(async () => {
    await server?.close();
    await removeFolder(dirname(run.folder));
  });

  it('features of images are those of the run', async () => {
    const family = await Family.open(manifest);
    // The types, too: what a browser reads is what an export writes.
    const written: FamilyManifest = await readExportManifest(folder);
    expect(family.manifest).to.deep.equal(written);
    const source = await openSource(run.test);
    for (const model of family.manifest.models) {
      const frozen = await FrozenEncoder.open(run.network, run.config, model.width, run.weights);
      const [expected] = await extractFeatures(source, run.config, [frozen]);
      const images = await Promise.all(Array.from({ length: source.length }, (_, i) => source.read(i)));
      const encoder = await family.encoder(model);
      const embeddings = await encoder.embedAll(images);
      expect((await encoder.embed(images[3]!)).features).to.have.lengthOf(expected!.channels);
      const largest = expected!.data.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      for (const [i, { features, outputs }] of embeddings.entries()) {
        expect(Object.keys(outputs)).to.deep.equal(['features']);
        for (const [c, value] of features.entries()) {
          expect(Math.abs(value - expected!.data[i * features.length + c]!) / largest).to.be.below(1e-5);
        }
      }
      await encoder.close();
      await frozen.close();
    }
  });

  it('choice: the widest for an ample budget, the narrowest for none, which does not fit', async () => {
    const family = await Family.open(manifest);
    const ample = await family.choose({ milliseconds: 60_000 });
    expect([ample.model.width, ample.fits]).to.deep.equal([1, true]);
    expect(ample.measured.map(({ model }) => model.width)).to.deep.equal([0.5, 1]);
    const none = await family.choose({ milliseconds: 1e-6 });
    expect([none.model.width, none.fits]).to.deep.equal([0.5, false]);
    expect(none.encoder.model).to.equal(none.model);
    await Promise.all([ample.encoder.close(), none.encoder.close()]);
    const error = await rejection(family.choose({ milliseconds: 1, candidates: () => false }));
    expect(error.message).to.contain('is a candidate');
  });

  it('what is no manifest, is not there, or is another file than the manifest says: one line', async () => {
    const family = await Family.open(manifest);
    const [first] = family.manifest.models;
    const path = join(folder, first!.file);
    const content = await readFile(path);
    const open = () => rejection(family.encoder(first!));
    await truncate(path, 1000);
    expect((await open()).message).to.match(/onnx is another file than the manifest says/);
    const other = Buffer.from(content);
    other[5000]! ^= 1;
    await writeFile(path, other);
    expect((await open()).message).to.match(/onnx is another file than the manifest says/);
    await writeFile(path, content);
    for (const [url, message] of [
      [new URL(first!.file, manifest), /is not JSON; accepted: the manifest.json of an export/],
      [new URL('nothing', manifest), /cannot be fetched: status 404/],
      [new URL('absent.onnx', manifest), /cannot be fetched: status 500/],
      ['http://localhost:1/manifest.json', /cannot be fetched/],
    ] as const) {
      expect((await rejection(Family.open(url))).message).to.match(message);
    }
  });
});
