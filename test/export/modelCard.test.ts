import { readFile, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { expect } from 'chai';
import { evaluateKnn } from '../../src/evaluation/evaluateKnn.js';
import { evaluateProbe } from '../../src/evaluation/evaluateProbe.js';
import { exportRun } from '../../src/export/exportRun.js';
import { makeTinyRun, type TinyRun } from '../evaluation/tinyRun.js';
import { chromium } from '../support/browser.js';
import { expectFeatures, linkModules, noPython, outputsOf, printed } from './cardPrograms.js';
import { writePictures } from './pictures.js';
import { removeFolder } from '../support/removeFolder.js';

describe('the model card of an export folder: ResNet-20 at 16 x 16', function () {
  this.timeout(120_000);
  let run: TinyRun;
  let folder: string;
  const card = async () => readFile(join(folder, 'README.md'), 'utf8');
  beforeEach(async () => {
    run = await makeTinyRun();
    folder = join(run.folder, 'export');
  });
  afterEach(() => removeFolder(dirname(run.folder)));

  it('figures: those of the manifest, and what they were measured on', async () => {
    await evaluateKnn(run.folder, { testSource: run.test });
    const { models } = await exportRun(run.folder);
    const text = await card();
    for (const { file, latency } of models) {
      const row = text.split('\n').find((line) => line.includes(basename(file)))!;
      expect(row.split('|').map((cell) => cell.trim())).to.include.members([
        `${latency.toPrecision(3)} ms`,
        'float32',
      ]);
    }
    expect(text).to.match(/kNN: top-1 of k \d+, temperature 0\.\d+, 12 test images of test\./);
    expect(text).to.contain('cpu, 1 thread.');
    expect(text).to.contain('The short side becomes 18 pixels');
  });

  it("somebody else's README.md stays, our own is written anew", async () => {
    await exportRun(run.folder, { widths: [1] });
    expect(await card()).not.to.contain('w0.50.onnx');
    await exportRun(run.folder, { widths: [0.5] });
    expect(await card())
      .to.contain('w1.00.onnx')
      .and.to.contain('w0.50.onnx');
    await writeFile(join(folder, 'README.md'), '# mine\n');
    const notices: string[] = [];
    await exportRun(run.folder, { widths: [0.5], onNotice: (line) => notices.push(line) });
    expect(await card()).to.equal('# mine\n');
    expect(notices.join('\n')).to.contain('is not a model card of slimclr');
  });

  describe('its code, as it stands: what evaluation gives for the file', () => {
    let images: string[];
    beforeEach(async () => {
      images = await writePictures(dirname(run.folder));
      await linkModules(run);
    });

    for (const program of ['Node', 'Python', 'browser'] as const) {
      const missing = { Node: '', Python: noPython, browser: chromium ? '' : ' (not here: no Chromium)' }[
        program
      ];
      it(`${program}${missing}`, async function () {
        if (missing) return this.skip();
        await exportRun(run.folder);
        const model = join(folder, 'resnet20.w0.50.onnx');
        await expectFeatures(run, model, images, await printed(program, folder, images));
      });
    }

    it('with a classifier: the likeliest class', async () => {
      await evaluateProbe(run.folder, { testSource: run.test, epochs: 20 });
      await exportRun(run.folder, { classifier: true, widths: [0.5] });
      const [image] = images as [string];
      const { logits } = await outputsOf(run, join(folder, 'resnet20.w0.50.classifier.onnx'), image);
      const [blue, red] = logits as [number, number];
      for (const program of noPython ? (['Node'] as const) : (['Node', 'Python'] as const)) {
        const [text] = await printed(program, folder, [image]);
        const [name, probability] = text!.trim().split(' ');
        expect(name).to.equal(blue > red ? 'blue' : 'red');
        expect(Number(probability)).to.be.closeTo(1 / (1 + Math.exp(-Math.abs(blue - red))), 1e-4);
      }
    });
  });
});
