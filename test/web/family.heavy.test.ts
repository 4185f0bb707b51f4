import { expect } from 'chai';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serveSite } from '../../src/demo/serve.js';
import { exportRun } from '../../src/export/exportRun.js';
import { Family, isPlain } from '../../src/web/index.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import type { FormOptions } from '../../src/export/formOptions.js';
import { openImageEncoder } from '../../src/embedding/imageEncoder.js';
import { Random } from '../../src/random.js';
import { removeFolder } from '../support/removeFolder.js';

function cosine(a: Float32Array, b: Float32Array): number {
  const dot = a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  return dot / (Math.hypot(...a) * Math.hypot(...b));
}

describe('slimclr/web in Node: the forms of an export', function () {
  this.timeout(120_000);
  let run: TinyRun;
  before(async () => (run = await makeTinyRun()));
  after(() => removeFolder(dirname(run.folder)));

  it('every form of export: bytes in, resizing in the model, a fixed batch, maps, shared weights, float16, int8', async () => {
    const output = join(run.folder, 'forms');
    const forms: readonly FormOptions[] = [
      { input: 'uint8-nhwc', resize: true },
      { resize: true },
      { input: 'uint8-nhwc' },
      { batch: 2 },
      { outputs: ['layer2'] },
      { shared: true },
    ];
    await exportRun(run.folder, { output, source: run.train });
    for (const form of forms)
      await exportRun(run.folder, { ...form, output, source: run.train, widths: [0.5] });
    for (const precision of ['float16', 'int8'] as const) {
      const conversion = { testSource: run.test, ...(precision === 'int8' && { force: true, maxDrop: 100 }) };
      await exportRun(run.folder, { precision, conversion, output, source: run.train, widths: [0.5] });
    }
    const site = new Map(readdirSync(output).map((name) => [name, { source: join(output, name) }]));
    const served = await serveSite(site, 0);
    try {
      const family = await Family.open(new URL('manifest.json', served.url));
      expect(family.manifest.models).to.have.length(2 + forms.length + 2);
      const random = new Random(5);
      const images = [[16, 16], [50, 31], [24, 90]].map(([width, height]) => ({ width: width!, height: height!, data: Uint8Array.from({ length: 3 * width! * height! }, () => random.integer(256)) })); // prettier-ignore
      const expected = new Map<number, Float32Array[]>();
      for (const model of family.manifest.models
        .filter(isPlain)
        .filter(({ externalData }) => !externalData)) {
        const encoder = await openImageEncoder(join(output, model.file));
        const features: Float32Array[] = [];
        for (const image of images) features.push(await encoder.features([image]));
        expected.set(model.width, features);
        await encoder.close();
      }
      for (const model of family.manifest.models) {
        // What is resized before the model is rounded to bytes.
        const tolerance =
          model.precision === 'float16' ? 5e-3 : model.file.endsWith('.u8.onnx') ? 2e-2 : 1e-5;
        const [inBrowser, inNode] = [
          await family.encoder(model),
          await openImageEncoder(join(output, model.file)),
        ];
        const embeddings = await inBrowser.embedAll(images);
        for (const [i, { features, outputs }] of embeddings.entries()) {
          const wanted = expected.get(model.width)![i]!;
          const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
          const again = await inNode.features([images[i]!]);
          expect(features.length, model.file).to.equal(wanted.length);
          if (model.precision === 'int8') {
            // Processors differ in how they add up integers.
            for (const other of [wanted, again])
              expect(cosine(features, other), model.file).to.be.above(0.98);
            continue;
          }
          for (const [c, value] of wanted.entries()) {
            const place = `${model.file}, image ${i}`;
            expect(Math.abs(features[c]! - value) / largest, place).to.be.below(tolerance);
            expect(Math.abs(features[c]! - again[c]!) / largest, place).to.be.below(1e-5);
          }
          if (model.file.includes('layer2'))
            expect(outputs['layer2']!.shape).to.deep.equal([model.width * 32, 8, 8]);
        }
        await inNode.close();
        await inBrowser.close();
      }
      const choice = await family.choose({ milliseconds: 60_000 });
      expect(choice.measured).to.have.length(2);
      await choice.encoder.close();
    } finally {
      await served.close();
    }
  });
});
